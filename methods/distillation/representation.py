"""MobileVOS's representation loss: between distillation and contrastive learning by omega."""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.distillation import NORMALIZERS
from methods.errors import MethodError


def representation_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, omega: float = 0.95, normalizer: str = "n"
) -> Tensor:
    """(1 / |C|) [log2 sum C_ss^2 - log2 sum (C_ss * C*)^2], C* = omega C_tt + (1 - omega) Y Y^T.

    student (G, n, Ds) and teacher (G, n, Dt): features of n pixels in each of G groups (one group an object
    and frame, so pixels of different videos are never compared); labels (G, n) integer classes. The
    correlations C are of L2-normalised features, so widths may differ. Returns the mean over the groups.

    With omega = 1 this is the student's entropy given the teacher, minus mutual information up to a constant
    (Renyi, alpha = 2); with omega = 0 it is the log-ratio of all pairs to positive pairs (supervised
    contrastive). It is not 0 for identical features: compare differences.

    Source: equations as given by the unofficial implementation (the paper's normaliser |C| is not known to us:
    "n" pixels is that implementation's, "n2" pairs is the other reading).
    """
    if normalizer not in NORMALIZERS:
        raise MethodError(f"unknown normalizer '{normalizer}'; known: {', '.join(NORMALIZERS)}")
    css = correlation(student)
    same = (labels[:, :, None] == labels[:, None, :]).to(css)
    target = omega * correlation(teacher).to(css) + (1 - omega) * same
    size = student.shape[1] if normalizer == "n" else student.shape[1] ** 2
    # a group of features that are all 0 has no correlations, and costs nothing
    tiny = torch.finfo(css.dtype).tiny
    alone, joint = (c.pow(2).sum((1, 2)).clamp(min=tiny) for c in (css, css * target))
    return (alone.log2() - joint.log2()).mean() / size


def correlation(features: Tensor) -> Tensor:
    """(G, n, D) -> cosine similarities (G, n, n)."""
    unit = F.normalize(features, dim=-1)
    return unit @ unit.transpose(1, 2)


def gather_pixels(maps: Tensor, index: Tensor) -> Tensor:
    """(G, D, h, w) maps at flat positions (G, n) -> (G, n, D)."""
    flat = maps.flatten(2)
    return torch.gather(flat, 2, index[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
