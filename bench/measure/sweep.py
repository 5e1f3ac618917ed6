"""How the latency of a method depends on the length of the video and on the number of objects."""

from collections.abc import Sequence
from dataclasses import replace

from bench.measure.growth import FEW, kept_frames
from bench.measure.protocols import core
from bench.measure.scene import Scene
from methods.interface import Method, Remembering, Staged


def core_sweep(
    method: Method,
    scene: Scene,
    lengths: Sequence[int],
    object_counts: Sequence[int],
) -> dict[str, dict[str, list[float]]] | None:
    """Median milliseconds of the protocol `core` over 3 frames, after videos of `lengths` frames and for numbers of
    objects: {"length": {"video_frames", "core_ms"}, "objects": {"objects", "core_ms"}}.

    The video is not run: the memory holds what its policy would have kept by then. States that are alike are
    timed once. None for a method whose stages are not known.
    """
    if not isinstance(method, Staged):
        return None
    timed: dict[tuple, float] = {}

    def milliseconds(memory_frames: int | None, objects: int) -> float:
        state = (memory_frames, objects)
        if state not in timed:
            found = core(method, replace(scene, memory_frames=memory_frames, objects=objects), FEW)
            timed[state] = found.ms_median
        return timed[state]

    remembers = isinstance(method, Remembering)
    kept = [kept_frames(method.policy, length) if remembers else None for length in lengths]
    by_length = [milliseconds(count, scene.objects) for count in kept]
    by_objects = [milliseconds(scene.memory_frames, objects) for objects in object_counts]
    return {
        "length": {"video_frames": list(lengths), "core_ms": by_length},
        "objects": {"objects": list(object_counts), "core_ms": by_objects},
    }
