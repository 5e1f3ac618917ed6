"""Which pixels the losses on features compare."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.system.choices import choice, number
from methods.distillation import SAMPLERS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from methods.space_time import Rollout

EMBEDDING_STRIDE = 4
LARGEST_SHARE = 0.1  # of a map's pixels are sampled: of more, a boundary's sample is nearly one of all


@dataclass
class Sampling:
    """Pixels (at stride 4) that the losses on features compare: random, boundary, uncertainty or all.

    count: how many, but a tenth of the map at most.
    """

    pixels: str = choice(*SAMPLERS, default="boundary")
    count: int = number(256, least=1)
    boundary_width: int = number(1, least=1, most=1024)


def sampled_pixels(
    sampling: Sampling, teacher: "Rollout", target: "Tensor", generator: "torch.Generator", before: int = 0
) -> "tuple[Tensor, Tensor]":
    """Which pixels the losses on features compare.

    target: (B, T - 1, H, W) slots -> masks int64 (G, h, w) in {0, 1} at the embeddings' stride and flat
    positions in them, int64 (G, n). A group is one object in one frame, so that pixels of different
    videos never meet. before: how many objects the parts of the batch before these clips have.
    """
    import torch

    from methods.distillation.sampling import binary_entropy, sample_pixels

    own = (_small(target)[teacher.video] == teacher.slot.view(-1, 1, 1, 1) + 1).long().flatten(0, 1)
    torch.rand(before * target.shape[1], *own.shape[1:], generator=generator)  # theirs
    uncertainty = None
    if sampling.pixels == "uncertainty":
        probabilities = _small(teacher.logits.float().softmax(2))[teacher.video, :, teacher.slot + 1]
        uncertainty = binary_entropy(probabilities).flatten(0, 1)
    count = min(sampling.count, max(1, int(LARGEST_SHARE * own[0].numel())))
    index = sample_pixels(own, count, sampling.pixels, generator, sampling.boundary_width, uncertainty)
    return own, index


def _small(maps: "Tensor") -> "Tensor":
    """(..., H, W) at the stride of the embeddings, each pixel read at the centre of its cell."""
    half = EMBEDDING_STRIDE // 2
    return maps[..., half::EMBEDDING_STRIDE, half::EMBEDDING_STRIDE]
