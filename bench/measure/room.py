"""Whether a frame fits into memory, estimated before it is tried: what does not, Linux kills without a word."""

import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.measure.growth import kept_frames
from bench.measure.scene import Scene, frames_read, frozen_copy
from bench.system.errors import ConfigError
from bench.system.memory import free_memory
from methods.interface import Method, Remembering, Stepped

GB = 1e9
SMALL_FRAME = 480 * 864  # up to this size nothing is estimated
SMALLER = 0.84  # from one size that is tried to the next: two of four steps halve the pixels
SMALLEST = 64  # px of the longer side that are proposed


class _Alive(TorchDispatchMode):
    """How many bytes of tensors are alive at the worst moment, of those given and of all that is made."""

    def __init__(self, given: list[Tensor]) -> None:
        super().__init__()
        self.peak = 0
        self._known: dict[int, tuple[StorageWeakRef, int]] = {}
        self._note(given)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        self._note([each for each in tree_leaves(found) if isinstance(each, Tensor)])
        return found

    def _note(self, tensors: list[Tensor]) -> None:
        for storage in (tensor.untyped_storage() for tensor in tensors):
            reference = StorageWeakRef(storage)
            self._known[reference.cdata] = reference, storage.nbytes()
        self._known = {key: each for key, each in self._known.items() if not each[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._known.values()))


@torch.no_grad()
def estimated_bytes(method: Stepped, scene: Scene) -> int:
    """What the worst step of a frame takes, weights, memory and the frame's features included.

    An estimate: computed from shapes alone, at no cost, and without what libraries take for themselves.
    """
    meta: Any = frozen_copy(method, "meta")
    steps = meta.frame_steps(scene.height, scene.width, scene.objects, frames_read(meta, scene.memory_frames))
    given = [*meta.parameters(), *meta.buffers(), *(x for step in steps for x in step.inputs.values())]
    peaks = []
    for step in steps:
        with _Alive(given) as alive:
            step.module(*step.inputs.values())
        peaks.append(alive.peak)
    return max(peaks)


def check_room(
    method: Method, scene: Scene, video_frames: int | None, advice: str, refuse: type[Exception] = ConfigError
) -> None:
    """Raise `refuse` where the scene's frames need more than twice the memory that is free, else warn.

    video_frames: of the video, whose last frame is the worst where the memory grows. advice: what to do, with
    `{edge}`, the longer side that fits. Says nothing up to 480p, nor of methods whose steps are not known.
    """
    if scene.height * scene.width <= SMALL_FRAME or not isinstance(method, Stepped):
        return
    if isinstance(method, Remembering) and method.policy.capacity is None and video_frames:
        scene = replace(scene, memory_frames=max(1, kept_frames(method.policy, video_frames)))
    meta = frozen_copy(method, "meta")
    need, free = estimated_bytes(meta, scene), free_memory(scene.device)
    if free is None or need <= free:
        return
    edge = int(max(scene.height, scene.width) * (free / need) ** 0.25) // 16 * 16  # what it grows with at most
    while edge > SMALLEST and estimated_bytes(meta, _smaller(scene, edge)) > free:
        edge = int(edge * SMALLER) // 16 * 16
    text = (
        f"frames of {scene.height}x{scene.width} with {scene.objects} object(s) take about {need / GB:.1f} GB "
        f"(estimated), and {free / GB:.1f} GB are free: {advice.format(edge=max(edge, SMALLEST))}"
    )
    if need > 2 * free:
        raise refuse(text)
    warnings.warn(text, stacklevel=2)


def _smaller(scene: Scene, edge: int) -> Scene:
    scale = edge / max(scene.height, scene.width)
    return replace(scene, height=max(1, round(scene.height * scale)), width=max(1, round(scene.width * scale)))
