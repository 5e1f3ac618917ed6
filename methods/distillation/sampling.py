"""Which pixels a distillation loss looks at."""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.errors import MethodError

SAMPLERS = ("random", "boundary")


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


def sample_pixels(
    labels: Tensor, count: int, sampler: str, generator: torch.Generator, width: int = 1
) -> Tensor:
    """Draw `count` different pixels of each map: integer (G, h, w) -> flat positions int64 (G, count).

    random: uniformly. boundary: boundary pixels first, uniformly among them; where an object has fewer, the
    rest is drawn from the other pixels. At most h w pixels are drawn. The random numbers are drawn on the
    CPU and do not depend on the sampler, so that runs on any device and with either sampler are comparable.
    """
    if sampler not in SAMPLERS:
        raise MethodError(f"unknown pixel sampler '{sampler}'; known: {', '.join(SAMPLERS)}")
    noise = torch.rand(labels.shape, generator=generator).to(labels.device)
    if sampler == "boundary":
        noise = noise + boundary(labels, width)
    return noise.flatten(1).topk(min(count, noise[0].numel()), dim=1).indices
