"""How long a method takes for a frame, in steady state."""

import copy
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bench.measure.steps import steady_memory_frames, stripes
from bench.system.environment import device_name
from bench.system.errors import ConfigError
from methods.interface import Method, Remembering


@dataclass(frozen=True)
class Limits:
    """How long to time: `warmup` calls that do not count, then whole cycles until there are `max_runs` calls, or
    `min_runs` and `max_seconds` have passed; at least one cycle, always."""

    warmup: int = 2
    min_runs: int = 3
    max_runs: int = 30
    max_seconds: float = 8.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a frame on the device to its probabilities on the device.

    Median, 90th percentile and interquartile range are over `runs` frames; fps is 1 / mean. The frames are
    whole write cycles of the memory, so the mean holds the right share of frames that are written to it
    (STCN: one in five), whereas the median may be that of the cheaper ones.
    memory_frames: frames in the memory that each of them reads, 0 without a memory.
    device: name of the GPU, or of the processor with its number of threads.
    precision: fp32, bf16, fp16 (of autocast, else of the weights); tf32 where a GPU so convolves fp32.
    """

    latency_ms_median: float
    latency_ms_p90: float
    latency_ms_iqr: float
    fps: float
    runs: int
    height: int
    width: int
    objects: int
    memory_frames: int
    device: str
    precision: str


def measure_latency(
    method: Method,
    height: int = 480,
    width: int = 864,
    *,
    objects: int = 1,
    memory_frames: int | None = None,
    warmup: int = 2,
    min_runs: int = 3,
    max_runs: int = 30,
    max_seconds: float = 8.0,
    device: str | torch.device = "cpu",
) -> Latency:
    """Time `method.step` on a frame of noise with `objects` objects; the method itself is left as it was.

    `memory_frames` defaults to the memory's capacity, or to 8 when it is unbounded; every timed frame reads
    exactly that many (one more where the policy includes the last frame). Whole write cycles are timed until
    there are `max_runs` frames, or `min_runs` and `max_seconds` have passed; at least one cycle, always.

    Raises ConfigError for an impossible `memory_frames`, `objects` or `min_runs`.
    """
    device = torch.device(device)
    if min(min_runs, max_runs) < 1:
        raise ConfigError(f"min_runs={min_runs}, max_runs={max_runs}: give 1 or more")
    method, frame = started_copy(method, height, width, objects, device)
    remembers = isinstance(method, Remembering)
    stored = steady_memory_frames(method.policy, memory_frames) if remembers else 0
    cycle = method.policy.every if remembers else 1

    limits = Limits(warmup, min_runs, max_runs, max_seconds)

    def refill() -> None:
        if remembers:
            method.fill_memory(stored)

    _, taken = timed_cycles(lambda: method.step(frame), device, limits, refill, cycle)

    low, median, high, p90 = np.percentile(np.array(taken) * 1000, (25, 50, 75, 90))
    return Latency(
        latency_ms_median=float(median),
        latency_ms_p90=float(p90),
        latency_ms_iqr=float(high - low),
        fps=len(taken) / sum(taken),
        runs=len(taken),
        height=height,
        width=width,
        objects=objects,
        memory_frames=stored,
        device=device_name(device),
        precision=precision_name(method, device),
    )


def started_copy(
    method: Method, height: int, width: int, objects: int, device: str | torch.device
) -> tuple[Method, Tensor]:
    """A copy of the method on `device` in evaluation mode that was started on a frame of noise; and that frame.

    What cannot be copied, as a class that holds objects of OpenCV, is started itself.
    Raises ConfigError for an impossible `objects`.
    """
    mask = stripes(height, width, objects)
    with suppress(TypeError):
        method = copy.deepcopy(method)
    if isinstance(method, nn.Module):
        method = method.to(device).eval()
    frame = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0)).to(device)
    method.start(frame, mask.to(device))
    return method, frame


def timed_cycles(
    work: Callable[[], object],
    device: str | torch.device,
    limits: Limits,
    prepare: Callable[[], object] = lambda: None,
    cycle: int = 1,
    clock: Callable[[Callable[[], object], torch.device], float] | None = None,
) -> tuple[list[float], list[float]]:
    """Seconds of the warm-up calls of `work`, and of those that count: whole cycles of `cycle` calls.

    `prepare` runs, untimed, before every cycle and every warm-up call. `clock` is `wall_seconds` by default.
    """
    device, clock = torch.device(device), clock or wall_seconds

    def time_calls(calls: int) -> list[float]:
        prepare()
        return [clock(work, device) for _ in range(calls)]

    warm = [seconds for _ in range(limits.warmup) for seconds in time_calls(1)]
    taken: list[float] = []
    while not taken or (
        len(taken) < limits.max_runs and (len(taken) < limits.min_runs or sum(taken) < limits.max_seconds)
    ):
        taken += time_calls(cycle)
    return warm, taken


def precision_name(method: Method, device: torch.device) -> str:
    """fp32, tf32, bf16 or fp16, by torch's autocast or else the weights; fp32 for a method without any."""
    dtype = next(method.parameters()).dtype if isinstance(method, nn.Module) else torch.float32
    if isinstance(method, nn.Module) and torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    if dtype == torch.float32:
        # By default torch lets a GPU convolve fp32 tensors in TF32, which is faster and coarser.
        return "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "fp32"
    return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype, str(dtype).removeprefix("torch."))


def wall_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of a call; a GPU's queue is empty before and after."""
    synchronize(device)
    begin = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - begin


def device_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of a call by the device's own clock: CUDA events on a GPU, which see its queue alone; else wall time."""
    if device.type != "cuda":
        return wall_seconds(work, device)
    with torch.cuda.device(device):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
    torch.cuda.synchronize(device)
    return begin.elapsed_time(end) / 1000


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done all that it was given; nothing to do for a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
