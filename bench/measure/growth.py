"""What a frame costs the longer a video goes on: flat for a bounded memory, growing for an unbounded one."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from tqdm import tqdm

from bench.measure.memory import measure_memory
from bench.measure.protocols import step
from bench.measure.scene import Scene
from bench.measure.timing import Limits
from bench.system.errors import ConfigError
from methods.interface import Method, Remembering
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


def growth(
    method: Method, scene: Scene, lengths: Sequence[int] = (1, 2, 4, 8, 16, 32)
) -> dict[str, list[float]]:
    """Latency and peak memory of the frame that follows `lengths` frames of video, with one object.

    Returns "video_frames" (the lengths), "latency_ms" (median of at least 3 frames) and "memory_mb_peak"
    (2^20 bytes, see `measure_memory`), a value for each length. The video is not run: the memory is filled
    with as many frames as its policy would have kept by then. Lengths that keep the same number of frames are
    one state, measured once, so a bounded memory is exactly flat from its capacity on and what has no memory is
    flat throughout.

    Raises ConfigError for a length below 1.
    """
    if min(lengths) < 1:
        raise ConfigError(f"lengths={list(lengths)}: give 1 or more, the annotated frame is the first")
    remembers = isinstance(method, Remembering)
    kept = [kept_frames(method.policy, length) if remembers else None for length in lengths]
    states = dict.fromkeys(kept)
    bar = tqdm(states, f"measure growth of {type(method).__name__}", leave=False, mininterval=2, delay=2)
    for count in bar:
        state = replace(scene, memory_frames=count)
        states[count] = (step(method, state, FEW).ms_median, measure_memory(method, state))
    return {
        "video_frames": list(lengths),
        "latency_ms": [states[count][0] for count in kept],
        "memory_mb_peak": [states[count][1] for count in kept],
    }
