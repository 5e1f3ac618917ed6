"""What a frame costs the longer a video goes on, and the more objects there are.

Flat for a bounded memory, growing for an unbounded one. The videos are not run: the memory is filled with as many
frames as its policy would have kept by then. States that are alike are measured once.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import torch

from bench.measure.memory import measure_memory
from bench.measure.protocols import core, step
from bench.measure.scene import Scene
from bench.measure.timing import Limits
from methods.interface import Method, Remembering, Stepped
from methods.memory import MemoryBank, MemoryPolicy

FEW = Limits(warmup=1, min_runs=3, max_runs=3)


def kept_frames(policy: MemoryPolicy, video_frames: int) -> int:
    """How many of a video's first `video_frames` frames the memory keeps; without the last one that
    `include_last` adds, which comes on top of these as in `Remembering.fill_memory`."""
    bank = MemoryBank(replace(policy, include_last=False))
    nothing = torch.empty(1, 1, 0)
    for index in range(video_frames):
        if bank.wants(index):
            bank.write(index, nothing, nothing)
    return len(bank)


def growth(method: Method, scene: Scene, lengths: Sequence[int] = (1, 2, 4, 8, 16, 32)) -> dict[str, list]:
    """Latency and peak memory of the frame that follows `lengths` frames of video, with one object.

    Returns "video_frames" (the lengths), "latency_ms" (median of at least 3 frames) and "memory_mb_peak" (2^20
    bytes, see `measure_memory`), a value for each length: exactly flat where nothing is added to a memory.
    """
    kept = _kept(method, lengths)

    @cache
    def costs(memory_frames: int | None) -> tuple[float | None, float]:
        state = replace(scene, memory_frames=memory_frames)
        return step(method, state, FEW).ms_median, measure_memory(method, state)

    latency, memory = zip(*map(costs, kept), strict=True)
    return {"video_frames": list(lengths), "latency_ms": list(latency), "memory_mb_peak": list(memory)}


def core_sweep(
    method: Method, scene: Scene, lengths: Sequence[int], object_counts: Sequence[int]
) -> dict[str, dict[str, list]] | None:
    """Median milliseconds of the protocol `core` over 3 frames, after videos of `lengths` frames and for numbers of
    objects: {"length": {"video_frames", "core_ms"}, "objects": {"objects", "core_ms"}}.

    None for a method whose stages are not known.
    """
    if not isinstance(method, Stepped):
        return None

    @cache
    def milliseconds(memory_frames: int | None, objects: int) -> float | None:
        timing = core(method, replace(scene, memory_frames=memory_frames, objects=objects), FEW)
        return None if timing is None else timing.ms_median

    by_length = [milliseconds(count, scene.objects) for count in _kept(method, lengths)]
    by_objects = [milliseconds(scene.memory_frames, objects) for objects in object_counts]
    return {
        "length": {"video_frames": list(lengths), "core_ms": by_length},
        "objects": {"objects": list(object_counts), "core_ms": by_objects},
    }


def _kept(method: Method, lengths: Sequence[int]) -> list[int | None]:
    """Frames in memory after videos of these lengths; None without a memory."""
    if not isinstance(method, Remembering):
        return [None] * len(lengths)
    return [kept_frames(method.policy, length) for length in lengths]
