"""Sizes, labels and probabilities on their way into and out of DeAOT, as in its official evaluation."""

from collections.abc import Sequence
from functools import cache, reduce

import torch
import torch.nn.functional as F
from torch import Tensor

OBJECTS = 10  # slots of the identification bank; more objects take several groups
STRIDE = 16
TAPS = 4  # pixels that a bicubic one is made of, along each axis


def aligned_size(height: int, width: int, max_long_edge: int | None = None) -> tuple[int, int]:
    """The nearest 16 k + 1 of each side, 17 at least, once the longer side is within `max_long_edge`."""
    scale = min(1.0, (max_long_edge or max(height, width)) / max(height, width))
    high, wide = (max(1, round((int(scale * side) - 1) / STRIDE)) * STRIDE + 1 for side in (height, width))
    return high, wide


def fit_frames(frames: Tensor, max_long_edge: int | None = None) -> Tensor:
    """(B, 3, H, W) -> (B, 3, H', W') of `aligned_size`, bicubic as OpenCV's; channels_last, the faster layout."""
    size = aligned_size(frames.shape[2], frames.shape[3], max_long_edge)
    if frames.shape[2:] != size:
        frames = F.interpolate(frames, size=size, mode="bicubic", align_corners=False)
    return frames.contiguous(memory_format=torch.channels_last)


def one_hot_slots(labels: Tensor, slots: int, size: Sequence[int]) -> Tensor:
    """Integer labels (B, H, W), 0 = background -> float (B, slots, *size), each pixel from its nearest one."""
    nearest = F.interpolate(labels[:, None].float(), size=size, mode="nearest")
    planes = torch.arange(slots, device=labels.device).view(1, -1, 1, 1)
    return (nearest == planes).float()


def joint_probabilities(logits: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Logits (1, n + 1, h, w) of each group of n objects -> probabilities (N + 1, *size), background first.

    Several groups are soft-aggregated: the background's probability is the product of theirs, and the odds of
    all channels are normalised. (The official code lets slots without an object take part with odds of 1e-5
    each; here they do not, which changes probabilities by less than 7e-5.)
    """
    groups = [resized(each, size).softmax(1)[0] for each in logits]
    if len(groups) == 1:
        return groups[0]
    background = torch.stack([group[0] for group in groups]).prod(0, keepdim=True)
    joint = torch.cat([background, *(group[1:] for group in groups)]).clamp(1e-5, 1 - 1e-5)
    return torch.logit(joint).softmax(0)


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, corner pixels on corner pixels: how DeAOT goes from one stride, of 16 k + 1 pixels, to another."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=True)


# Resizing by weights that are known in advance, as torch computes them. Runtimes round where a pixel lies in their
# own ways: ONNX Runtime's bicubic frames differ by 1e-5, and its nearest labels by whole pixels. Gathers and sums
# are the same everywhere.


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
            parts = [maps.index_select(2, index) * weight for index, weight in taps]
            maps = reduce(torch.add, parts).transpose(2, 3)
        return maps


class Nearest:
    """`F.interpolate(mode="nearest")` of labels (H, W) from one size to another."""

    def __init__(self, size: tuple[int, int], to: tuple[int, int], device: torch.device) -> None:
        places = [torch.arange(length, dtype=torch.float32, device="cpu")[None, None] for length in size]
        found = [F.interpolate(x, size=n, mode="nearest")[0, 0] for x, n in zip(places, to, strict=True)]
        self.rows, self.columns = (index.long().to(device) for index in found)

    def __call__(self, labels: Tensor) -> Tensor:
        return labels.index_select(0, self.rows).index_select(1, self.columns)


@cache
def _taps(length: int, count: int) -> list[tuple[Tensor, Tensor]]:
    """Index int64 (count,) and weight (count, 1) of each of the pixels summed."""
    each = torch.eye(length, device="cpu")[None, None]
    matrix = F.interpolate(each, size=(count, length), mode="bicubic", align_corners=False)[0, 0]
    index = matrix.abs().topk(min(TAPS, length)).indices
    return list(zip(index.unbind(1), matrix.gather(1, index).split(1, 1), strict=True))
