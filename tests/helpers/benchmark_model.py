"""Stands in for Google's program of this name: runs a .tflite on noise and prints what that prints.

Its flags and lines are those of LiteRT, tflite/tools/benchmark/benchmark_model.cc; the percentiles are those of
its StatWithPercentiles.
"""

import sys
import time

FLAGS = {
    "graph": "", "num_threads": "-1", "warmup_runs": "1", "warmup_min_secs": "0.5", "num_runs": "50",
    "min_secs": "1", "max_secs": "150", "use_xnnpack": "true",
}  # fmt: skip


def main() -> int:
    given = dict(argument.removeprefix("--").partition("=")[::2] for argument in sys.argv[1:])
    if "help" in given or not given.keys() <= FLAGS.keys():
        print(
            "usage: benchmark_model <flags>\nFlags:\n\t--graph=\tstring\trequired\tgraph file name", file=sys.stderr
        )
        return 1
    flags = FLAGS | given
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    print(f"INFO: STARTING!\nINFO: Graph: [{flags['graph']}]")
    begin = time.perf_counter()
    try:
        interpreter = Interpreter(flags["graph"], num_threads=int(flags["num_threads"]))
        interpreter.allocate_tensors()
    except ValueError:
        print("ERROR: Failed to initialize the interpreter", file=sys.stderr)
        return 1
    init = 1e6 * (time.perf_counter() - begin)
    noise = np.random.default_rng(0)
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], noise.random(tensor["shape"], np.float32))
    longest = float(flags["max_secs"])
    warm = repeat(interpreter.invoke, int(flags["warmup_runs"]), float(flags["warmup_min_secs"]), longest)
    times = repeat(interpreter.invoke, int(flags["num_runs"]), float(flags["min_secs"]), longest)
    first = warm[0] if warm else 0
    print(f"INFO: Inference timings in us: Init: {init:.0f}, First inference: {first}, Warmup (avg): 1, ", end="")
    print(f"Inference (avg): {sum(times) / len(times):g}")
    return 0


def repeat(invoke, runs: int, seconds: float, longest: float) -> list[int]:
    times, begin = [], time.perf_counter()
    while (passed := time.perf_counter() - begin) <= longest and (len(times) < runs or passed < seconds):
        start = time.perf_counter()
        invoke()
        times.append(int(1e6 * (time.perf_counter() - start)))
    ordered, text = sorted(times), f"count={len(times)}"
    if times:
        text += f" first={times[0]} curr={times[-1]} min={ordered[0]} max={ordered[-1]} avg=1 std=0"
    at = {p: ordered[len(ordered) * p // 100] if times else 0 for p in (5, 50, 95)}
    print(f"INFO: {text} p5={at[5]} median={at[50]} p95={at[95]}")
    return times


if __name__ == "__main__":
    sys.exit(main())
