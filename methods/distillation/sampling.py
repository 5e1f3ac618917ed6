"""Which pixels a distillation loss looks at."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.distillation import SAMPLERS
from methods.errors import MethodError


def boundary(labels: Tensor, width: int = 1) -> Tensor:
    """Pixels within `width` (Chebyshev distance) of a change of label: integer (G, h, w) -> bool (G, h, w).

    A pixel with width 1 is on the boundary when one of its eight neighbours has another label. The image's
    border is no boundary, since padding repeats the edge.
    """
    size = 2 * width + 1
    padded = F.pad(labels[:, None].float(), (width,) * 4, mode="replicate")
    highest = F.max_pool2d(padded, size, 1)
    lowest = -F.max_pool2d(-padded, size, 1)
    return (highest != lowest)[:, 0]


def binary_entropy(probability: Tensor) -> Tensor:
    """-p log2 p - (1 - p) log2 (1 - p) in bits, in [0, 1]; 0 at p = 0 and p = 1. Any shape.

    For weights only: its gradient at 0 and 1 is infinite.
    """
    both = torch.special.entr(probability) + torch.special.entr(1 - probability)
    return both / math.log(2)


def sample_pixels(
    labels: Tensor,
    count: int,
    sampler: str,
    generator: torch.Generator,
    width: int = 1,
    uncertainty: Tensor | None = None,
) -> Tensor:
    """Draw `count` different pixels of each map: integer (G, h, w) -> flat positions int64 (G, count).

    random: uniformly. boundary: boundary pixels first, uniformly among them; where an object has fewer, the
    rest is drawn from the other pixels. uncertainty (ours): one after the other with probability proportional
    to `uncertainty`, float (G, h, w) in [0, 1], for example the binary entropy of the teacher's probability;
    pixels of weight 0 only when the others run out. all: every pixel in order, whatever `count`.

    At most h w pixels are drawn. The random numbers are drawn on the CPU and do not depend on the sampler, so
    that runs on any device and with any sampler are comparable. Raises MethodError for an unknown sampler and
    for a missing or misshapen `uncertainty`.
    """
    if sampler not in SAMPLERS:
        raise MethodError(f"unknown pixel sampler '{sampler}'; known: {', '.join(SAMPLERS)}")
    keys = torch.rand(labels.shape, generator=generator).to(labels.device)
    if sampler == "all":
        return torch.arange(labels[0].numel(), device=labels.device).expand(len(labels), -1)
    if sampler == "boundary":
        keys = keys + boundary(labels, width)
    elif sampler == "uncertainty":
        if uncertainty is None or uncertainty.shape != labels.shape:
            given = "none" if uncertainty is None else tuple(uncertainty.shape)
            raise MethodError(
                f"pixel sampler 'uncertainty' needs an uncertainty for each of the labels' pixels "
                f"{tuple(labels.shape)}, got {given}: pass uncertainty=..."
            )
        # The largest keys u^(1/w) are a weighted draw without replacement (Efraimidis & Spirakis 2006). Ordered as
        # they are, and without underflow: log w - log(-log u), Gumbel noise added to log w.
        tiny = torch.finfo(torch.float32).tiny  # stands for a weight of 0: drawn last, uniformly
        keys = uncertainty.float().clamp(min=tiny).log() - (-keys.clamp(min=1e-9).log()).log()
    return keys.flatten(1).topk(min(count, keys[0].numel()), dim=1).indices
