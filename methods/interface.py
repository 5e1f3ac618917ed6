"""The adapter that every method implements, and the checks of what users feed it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from methods.errors import MethodError
from methods.memory import MemoryPolicy
from methods.steps import Step


class Method(Protocol):
    """A semi-supervised VOS method: give it the first frame with its mask, then frame after frame.

    `add` is optional: without it a method takes only videos whose objects are all in the first mask. So are
    `video_state` and `load_video_state`, which come together: without them an interrupted video starts again.
    """

    @property
    def object_ids(self) -> list[int]:
        """Ids given so far, increasing; channel i + 1 of the probabilities is object_ids[i]."""

    def start(self, frame: Tensor, mask: Tensor) -> None:
        """Begin a video: `frame` float (3, H, W) RGB in [0, 1], `mask` integer (H, W), 0 = background.

        Forgets the previous video. Raises MethodError for other shapes, types or an empty mask.
        """

    def step(self, frame: Tensor) -> Tensor:
        """Segment the next frame: float (N + 1, H, W) probabilities that sum to 1, background first."""

    def add(self, frame: Tensor, mask: Tensor) -> Tensor:
        """In place of `step` on a frame that gives M new objects: float (N + M + 1, H, W), as from `step`.

        `mask` integer (H, W) holds the new ids; where it is 0 it says nothing. Its pixels win over what is
        predicted of the N objects followed so far, which go on as before. Raises MethodError before `start`,
        for an id that is followed already, and as `start` does.
        """

    def video_state(self) -> dict:
        """All it knows of the video so far: tensors, numbers and text in dictionaries, lists and tuples."""

    def load_video_state(self, state: dict) -> None:
        """Go on where the `video_state` of a method of the same weights and options was taken."""


@runtime_checkable
class Stepped(Method, Protocol):
    """A network of known steps: what is needed to count and time it."""

    def frame_steps(self, height: int, width: int, objects: int, memory_frames: int) -> list[Step]:
        """The steps of a frame of this size, in the order of `methods.steps.STEPS`, on the method's device.

        The method must be in evaluation mode; the modules share its weights. On the meta device too.
        """


@runtime_checkable
class Remembering(Stepped, Protocol):
    """A network that reads a memory of past frames: what measuring and exporting know of it.

    compiled_parts: its methods that torch.compile is for. What reads the memory is not among them where the
    memory may grow.
    """

    @property
    def compiled_parts(self) -> tuple[str, ...]: ...

    @property
    def policy(self) -> MemoryPolicy:
        """Which frames stay in memory."""

    @property
    def memory_frames(self) -> int:
        """Frames now in memory, of the objects with the most."""

    def fill_memory(self, frames: int) -> None:
        """Act as if the video had gone on until `frames` frames are kept, the steady state without running it."""


def check_start(frame: Tensor, mask: Tensor) -> list[int]:
    """Validate the arguments of `Method.start`; returns the object ids in increasing order."""
    return _mask_ids(frame, mask, "the first mask is empty: it must hold at least one object id above 0")


def check_added(frame: Tensor, mask: Tensor, known: Sequence[int]) -> list[int]:
    """Validate the arguments of `Method.add`, with the ids followed so far; returns the new ids, increasing."""
    ids = _mask_ids(frame, mask, "the mask of new objects is empty: call step() on a frame without any")
    again = sorted(set(ids) & set(known))
    if again:
        raise MethodError(f"object {again[0]} is followed already: a mask of new objects must hold new ids only")
    return ids


def _mask_ids(frame: Tensor, mask: Tensor, if_empty: str) -> list[int]:
    check_frame(frame)
    if mask.ndim != 2 or mask.is_floating_point() or mask.is_complex():
        raise MethodError(f"mask must be an integer (H, W) tensor, got {mask.dtype} {tuple(mask.shape)}")
    if mask.shape != frame.shape[1:]:
        raise MethodError(f"mask {tuple(mask.shape)} and frame {tuple(frame.shape[1:])} differ in size")
    ids = [int(i) for i in torch.unique(mask) if i != 0]
    if not ids:
        raise MethodError(if_empty)
    return ids


def check_frame(frame: Tensor) -> None:
    """Raise MethodError unless `frame` is a float (3, H, W) tensor."""
    if frame.ndim != 3 or frame.shape[0] != 3 or not frame.is_floating_point():
        raise MethodError(
            f"frame must be a float (3, H, W) tensor of RGB in [0, 1], got {frame.dtype} {tuple(frame.shape)}"
        )


def one_hot_objects(mask: Tensor, ids: list[int]) -> Tensor:
    """Integer (H, W) mask -> float (N, H, W), one plane an object."""
    return torch.stack([mask == i for i in ids]).float()


def channel_order(ids: Sequence[int]) -> list[int] | slice:
    """Index that brings channels of background and `ids` into the adapter's order (ids increasing)."""
    order = sorted(range(len(ids)), key=ids.__getitem__)
    # A slice costs nothing, a list copies every channel.
    return slice(None) if order == list(range(len(ids))) else [0, *(i + 1 for i in order)]
