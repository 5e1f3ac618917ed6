"""Losses on attention maps: centred kernel alignment (CKA), and the divergence that it replaces.

Source: "Self-supervised VOS with Distillation Learning of Deformable Attention" (Truong et al., arXiv
2401.13937), with linear CKA as Kornblith et al. (ICML 2019) define it.
"""

import math

import torch
from torch import Tensor

from methods.distillation.classification import wide
from methods.errors import MethodError


def linear_cka(x: Tensor, y: Tensor) -> Tensor:
    """HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = x x^T, L = y y^T: in [0, 1], 1 for alike -> (B,).

    x (B, n, d1) and y (B, n, d2): n samples in both, whatever their widths. Neither an orthogonal map of the
    features nor their scale or shift matters. Equation 8 of the paper has HSIC(K, L) in all three places and
    is 1 for any input; this is the normalisation of Kornblith et al. The kernels are n x n or the covariances
    d x d, whichever is cheaper. Features that are the same in all samples have no alignment: they count as 0,
    without a gradient. Computed in float32 or better. Raises MethodError when B or n differ.
    """
    samples, ours, theirs = x.shape[1], x.shape[2], y.shape[2]
    if x.shape[:2] != y.shape[:2]:
        raise MethodError(
            f"CKA needs two sets of features of the same samples, got {tuple(x.shape)} and {tuple(y.shape)}: "
            f"axes 0 and 1 must agree"
        )
    x, y = _unit(wide(x)), _unit(wide(y))
    if samples * (ours + theirs) < ours**2 + ours * theirs + theirs**2:
        k, l = x @ x.mT, y @ y.mT  # noqa: E741 - the paper's names
        cross = (k * l).sum((1, 2))
    else:
        cross = (x.mT @ y).pow(2).sum((1, 2))
        k, l = x.mT @ x, y.mT @ y  # noqa: E741
    own = k.pow(2).sum((1, 2)) * l.pow(2).sum((1, 2))
    return torch.where(own > 0, cross * torch.where(own > 0, own, 1).rsqrt(), 0)


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - CKA of two attention maps, averaged over the clips -> scalar in [0, 1].

    student (B, n, m_s) and teacher (B, n, m_t): a row a query, so they may look at different numbers of keys:
    the student at its sampled points of one frame, the teacher at all its memory. One pair of layers of
    L_att (equation 9); sum over pairs for more. Algorithm 1 of the paper adds the similarity itself, with which
    training would drive the maps apart; the equation's sign is the right one. Raises MethodError as
    `linear_cka`.
    """
    return (1 - linear_cka(student, teacher)).mean()


def attention_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) of each query's weights over the keys, averaged over queries and clips -> scalar.

    student (B, n, m): rows that sum to 1 over the m keys of one frame; teacher (B, n, T n): over the n pixels of
    each of T frames, oldest first. KL needs the same keys (CKA does not), so the teacher's rows are cut down,
    which is ours: `first` takes its keys of the first frame, the frame that a student with one memory frame
    has, and scales the rows to sum to 1 again; `all` adds the T weights of each pixel. Where the student has
    fewer keys than pixels, as a deformable one, a pixel's weight goes to the nearest point of the student's
    regular grid; where the student has moved its points meanwhile, KL does not know. Maps are taken to be square,
    as training crops are. Raises MethodError for maps that do not fit.
    """
    pixels, keys = student.shape[1:]
    side, points = math.isqrt(pixels), math.isqrt(keys)
    fits = keys == pixels or (keys < pixels and side**2 == pixels and points**2 == keys)
    if student.shape[:2] != teacher.shape[:2] or teacher.shape[2] % pixels or not fits:
        raise MethodError(
            f"attention KL needs the same queries and keys, got student {tuple(student.shape)} and teacher "
            f"{tuple(teacher.shape)}: use CKA for maps with other keys"
        )
    student, teacher = wide(student), wide(teacher)
    tiny = torch.finfo(student.dtype).tiny
    teacher = teacher[..., :pixels]
    teacher = teacher / teacher.sum(-1, keepdim=True).clamp(min=tiny)
    if keys != pixels:
        teacher = _on_grid(teacher, side, points)
    return (torch.xlogy(teacher, teacher) - teacher * student.clamp(min=tiny).log()).sum(-1).mean()


def _on_grid(weights: Tensor, side: int, points: int) -> Tensor:
    """Weights (B, n, side^2) of pixels -> (B, n, points^2): each at the nearest point of an even grid."""
    nearest = (torch.arange(side, device=weights.device) * (points - 1) / (side - 1)).round().long()
    place = (nearest[:, None] * points + nearest).flatten()
    return weights.new_zeros(*weights.shape[:2], points**2).index_add(2, place, weights)


def _unit(features: Tensor) -> Tensor:
    """Without their mean sample and of unit norm, which keeps fourth powers of small weights in range."""
    centred = features - features.mean(1, keepdim=True)
    squared = centred.pow(2).sum((1, 2), keepdim=True)
    # Below this a feature varies by rounding alone.
    rounding = (16 * torch.finfo(features.dtype).eps) ** 2
    varies = squared > rounding * features.detach().pow(2).sum((1, 2), keepdim=True)
    # The inner `where` keeps the infinite gradient of a root at 0 out of the unused branch.
    return torch.where(varies, centred * torch.where(varies, squared, 1).rsqrt(), 0)
