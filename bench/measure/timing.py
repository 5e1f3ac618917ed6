"""Timing: calls by a clock until it is enough, and the figures that are made of their times."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch


@dataclass(frozen=True)
class Limits:
    """How long to time: `warmup` calls that do not count, then whole cycles until there are `max_runs` calls, or
    `min_runs` and `max_seconds` have passed; at least one cycle, always."""

    warmup: int = 2
    min_runs: int = 3
    max_runs: int = 30
    max_seconds: float = 8.0


@dataclass(frozen=True)
class Timing:
    """Times by one protocol.

    ms_*: of a frame, over `frames` frames; None where the protocol times the video as a whole.
    ms_first: the first frame, apart: the first call where calls are repeated, which is cold when nothing ran before
    it; the annotated frame where a video is run. None without one.
    fps: frames per second as the protocol counts them: 1 / mean. Where a memory is written now and then, whole
    write cycles are timed, so that the mean holds the right share of such frames (STCN: one in five); the median
    may be that of the cheaper ones.
    memory_frames: in the memory that is read; at the end of the video where one is run, 0 without a memory.
    """

    protocol: str
    fps: float
    frames: int
    objects: int
    memory_frames: int
    ms_first: float | None = None
    ms_median: float | None = None
    ms_p90: float | None = None
    ms_p99: float | None = None
    ms_iqr: float | None = None


Clock = Callable[[Callable[[], object], torch.device], float]


def wall_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of a call; a GPU's queue is empty before and after."""
    wait = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
    wait()
    begin = time.perf_counter()
    work()
    wait()
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


def timed(
    protocol: str,
    work: Callable[[], object],
    device: str,
    limits: Limits | None = None,
    *,
    objects: int = 1,
    memory_frames: int = 0,
    prepare: Callable[[], object] = lambda: None,
    cycle: int = 1,
    clock: Clock = wall_seconds,
) -> Timing:
    """Time calls of `work`, within the limits, in whole cycles of `cycle` calls.

    `prepare` runs, untimed, before every cycle and every warm-up call.
    """
    place, limits = torch.device(device), limits or Limits()

    def time_calls(calls: int) -> list[float]:
        prepare()
        return [clock(work, place) for _ in range(calls)]

    warm = [seconds for _ in range(limits.warmup) for seconds in time_calls(1)]
    taken: list[float] = []
    while not taken or (
        len(taken) < limits.max_runs and (len(taken) < limits.min_runs or sum(taken) < limits.max_seconds)
    ):
        taken += time_calls(cycle)
    return figures(protocol, taken, warm[0] if warm else None, objects, memory_frames)


def figures(protocol: str, taken: Sequence[float], first: float | None, objects: int, memory_frames: int) -> Timing:
    """What the seconds of the frames say; `first` is apart from them or among them."""
    low, middle, high, p90, p99 = np.percentile(np.array(taken) * 1000, (25, 50, 75, 90, 99)).tolist()
    times = {"ms_median": middle, "ms_p90": p90, "ms_p99": p99, "ms_iqr": high - low}
    ms_first, fps = None if first is None else 1000 * first, len(taken) / sum(taken)
    return Timing(protocol, fps, len(taken), objects, memory_frames, ms_first, **times)
