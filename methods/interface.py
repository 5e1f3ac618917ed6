"""The adapter that every method implements, and the checks of what users feed it."""

from typing import Protocol

import torch
from torch import Tensor

from methods.errors import MethodError


class Method(Protocol):
    """A semi-supervised VOS method: give it the first frame with its mask, then frame after frame."""

    @property
    def object_ids(self) -> list[int]:
        """Ids in the first mask, increasing; channel i + 1 of the probabilities is object_ids[i]."""

    def start(self, frame: Tensor, mask: Tensor) -> None:
        """Begin a video: `frame` float (3, H, W) RGB in [0, 1], `mask` integer (H, W), 0 = background.

        Forgets the previous video. Raises MethodError for other shapes, types or an empty mask.
        """

    def step(self, frame: Tensor) -> Tensor:
        """Segment the next frame: float (N + 1, H, W) probabilities that sum to 1, background first."""


def check_start(frame: Tensor, mask: Tensor) -> list[int]:
    """Validate the arguments of `Method.start`; returns the object ids in increasing order."""
    check_frame(frame)
    if mask.ndim != 2 or mask.is_floating_point() or mask.is_complex():
        raise MethodError(f"mask must be an integer (H, W) tensor, got {mask.dtype} {tuple(mask.shape)}")
    if mask.shape != frame.shape[1:]:
        raise MethodError(f"mask {tuple(mask.shape)} and frame {tuple(frame.shape[1:])} differ in size")
    ids = [int(i) for i in torch.unique(mask) if i != 0]
    if not ids:
        raise MethodError("the first mask is empty: it must hold at least one object id above 0")
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
