"""What the repeats on a phone say: statistics, flags, and the records made of them."""

import numpy as np

from bench.measure.results import record_of
from bench.phone.session import SUSTAINED_RUNS, Session
from bench.record import Record

SPREAD = 0.05  # between the repeats' medians: above it a row is flagged (MLPerf Mobile: replicable within 5 %)
TOLERANCE = 1e-3  # of an output, relative to its largest value


def summarise(session: Session, per_frame: dict[str, float]) -> dict:
    """A method's entry of measure.json: rows of stages and of frames, and what is doubtful.

    per_frame: how often a frame needs each stage. A frame is the sum of its stages, each that often.
    """
    groups: dict[tuple[str, int, str], list[dict]] = {}
    for job, repeat in session.repeats.items():
        groups.setdefault(job.row, []).append(repeat)
    rows = [{**_row(repeats), "per_frame": per_frame[key[2]]} for key, repeats in groups.items()]
    frames = _frames(rows, per_frame)
    left = session.wanted - len(session.repeats)
    failed = [f"{stage}, {_threads(n)}: {why}" for (_, n, stage), why in session.failures.items()]
    doubts = [
        f"{row['stage']}, {_threads(row['threads'])}: {text}" for row in [*rows, *frames] for text in row["flags"]
    ]
    if session.reused:
        doubts.append(f"{session.reused} of {session.wanted} repeats are of an earlier, interrupted command")
    status = f"failed: {failed[0]}" if failed else f"interrupted: {left} of {session.wanted} repeats missing"
    return {
        "status": status if failed or left else "ok",
        "rows": rows,
        "frames": frames,
        "warnings": [*failed[1:], *dict.fromkeys(doubts)],
        "repeats": [repeat for repeats in groups.values() for repeat in repeats],
    }


def _row(repeats: list[dict]) -> dict:
    """Statistics of all runs of a row, and of each repeat's median."""
    first, each_run = repeats[0], bool(repeats[0]["times_ns"])
    medians = [float(np.median(r["times_ns"])) / 1e6 if each_run else r["statistics"]["median"] for r in repeats]
    times = _of_runs(repeats) if each_run else _of_statistics(repeats)
    largest = _largest([d for r in repeats for d in r["differences"].values()])
    flags = [text for r in repeats for text in r["flags"]] + _spread(medians)
    if not largest["relative"] <= TOLERANCE:
        flags.append(f"the outputs differ from the method's by {largest['relative']:.1e}: do not use these times")
    governors = {core["governor"] for r in repeats for core in r["before"]["cores"]}
    clocks = [{core["governor"] for core in r["before"]["cores"]} for r in repeats]
    if any(each != clocks[0] for each in clocks):
        flags.append("the governor of the clocks changed between repeats")
    if first["mode"] == "sustained" and times["runs"] < SUSTAINED_RUNS:
        flags.append(f"{times['runs']} runs, fewer than the {SUSTAINED_RUNS} of a sustained measurement")
    return {
        **{key: first[key] for key in ("mode", "stage", "threads", "mask")},
        **times,
        "ms_medians": medians,
        "peak_rss_mb": max((r["peak_rss_mb"] for r in repeats if r["peak_rss_mb"] is not None), default=None),
        **largest,
        "governors": sorted(filter(None, governors)),
        "flags": list(dict.fromkeys(flags)),
    }


def _of_runs(repeats: list[dict]) -> dict:
    """Of all runs together."""
    times = np.concatenate([np.array(repeat["times_ns"]) / 1e6 for repeat in repeats])
    least, low, median, high, p90, p95 = np.percentile(times, (0, 25, 50, 75, 90, 95)).tolist()
    middle = {"ms_median": median, "ms_p90": p90, "ms_p95": p95}
    return {**middle, "ms_min": least, "ms_iqr": high - low, "runs": len(times)}


def _of_statistics(repeats: list[dict]) -> dict:
    """Where single runs are not known: the median of the medians, and the largest p95."""
    found = [repeat["statistics"] for repeat in repeats]
    return {
        "ms_median": float(np.median([one["median"] for one in found])),
        "ms_p90": None,
        "ms_p95": max(one["p95"] for one in found),
        "ms_min": min(one["min"] for one in found),
        "ms_iqr": None,
        "runs": sum(one["runs"] for one in found),
    }


def _frames(rows: list[dict], per_frame: dict[str, float]) -> list[dict]:
    """A row for each mode and number of threads of which every stage is there."""
    found = []
    for mode, threads in dict.fromkeys((row["mode"], row["threads"]) for row in rows):
        stages = [row for row in rows if (row["mode"], row["threads"]) == (mode, threads)]
        if {row["stage"] for row in stages} != set(per_frame):
            continue
        repeats = min(len(row["ms_medians"]) for row in stages)
        weights = [row["per_frame"] for row in stages]
        medians = np.dot(weights, [row["ms_medians"][:repeats] for row in stages]).tolist()
        columns = {key: [row[key] for row in stages] for key in ("ms_median", "ms_p90", "ms_p95", "ms_min")}
        sums = {key: None if None in column else float(np.dot(weights, column)) for key, column in columns.items()}
        fixed = {"mode": mode, "stage": "frame", "threads": threads, "mask": stages[0]["mask"]}
        found.append({**fixed, **sums, "ms_medians": medians, **_largest(stages), "flags": _spread(medians)})
    return found


def _largest(found: list[dict]) -> dict[str, float]:
    """Of the differences; NaN where one is."""
    return {key: float(np.max([one[key] for one in found])) for key in ("max_abs", "relative")}


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _spread(medians: list[float]) -> list[str]:
    spread = (max(medians) - min(medians)) / float(np.median(medians))
    return [f"the repeats' medians spread by {100 * spread:.1f} %"] if spread > SPREAD else []


def records(content: dict) -> list[Record]:
    """One for each method and number of threads; one for a method without times."""
    found = []
    for name, one in content["methods"].items():
        bursts = [frame for frame in one.get("frames", []) if frame["mode"] == "burst"]
        found += [] if bursts else [record_of(name, content, versions=content["runtime"])]
        for frame in bursts:
            threads = f", {_threads(frame['threads'])}"
            measured = {"versions": content["runtime"], "latency_ms_median": frame["ms_median"]}
            found.append(record_of(name, content, name + threads, content["device"] + threads, **measured))
    return found
