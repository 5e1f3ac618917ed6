"""Resizing by weights that are known in advance, as torch computes them.

Runtimes round where a pixel lies in their own ways: ONNX Runtime's bicubic frames differ by 1e-5, and its nearest
labels by whole pixels. Gathers and sums are the same everywhere.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = 4  # pixels that a bicubic one is made of, along each axis


class Bicubic:
    """`F.interpolate(mode="bicubic", align_corners=False)` of maps (B, C, H, W) from one size to another.

    That itself where torch runs it, which is quicker; gathers and sums where it is exported.
    """

    def __init__(self, size: tuple[int, int], to: tuple[int, int], device: torch.device) -> None:
        self.size, self.to = size, to
        self.taps = [
            [(index.to(device), weight.to(device)) for index, weight in _taps(*lengths)]
            for lengths in zip(size, to, strict=True)
        ]

    def __call__(self, maps: Tensor) -> Tensor:
        if self.size == self.to:
            return maps
        if torch.compiler.is_compiling():  # by torch.export too
            return self.gathered(maps)
        return F.interpolate(maps, size=self.to, mode="bicubic", align_corners=False)

    def gathered(self, maps: Tensor) -> Tensor:
        for taps in self.taps:  # rows, and columns as rows
            maps = sum(maps.index_select(2, index) * weight for index, weight in taps).transpose(2, 3)
        return maps


class Nearest:
    """`F.interpolate(mode="nearest")` of labels (H, W) from one size to another."""

    def __init__(self, size: tuple[int, int], to: tuple[int, int], device: torch.device) -> None:
        self.rows, self.columns = (_nearest(*each).to(device) for each in zip(size, to, strict=True))

    def __call__(self, labels: Tensor) -> Tensor:
        return labels.index_select(0, self.rows).index_select(1, self.columns)


@cache
def _taps(length: int, count: int) -> list[tuple[Tensor, Tensor]]:
    """Index int64 (count,) and weight (count, 1) of each of the pixels summed."""
    each = torch.eye(length, device="cpu")[None, None]
    matrix = F.interpolate(each, size=(count, length), mode="bicubic", align_corners=False)[0, 0]
    index = matrix.abs().topk(min(TAPS, length)).indices
    return list(zip(index.unbind(1), matrix.gather(1, index).split(1, 1), strict=True))


def _nearest(length: int, count: int) -> Tensor:
    places = torch.arange(length, dtype=torch.float32, device="cpu")[None, None]
    return F.interpolate(places, size=count, mode="nearest")[0, 0].long()
