"""The two losses of ITRD, Information Theoretic Representation Distillation (Miles et al., BMVC 2022).

Equations as in the official code. MobileVOS's loss (representation.py) grew out of the second one.
"""

import torch
from torch import Tensor

from methods.distillation.representation import correlation
from methods.errors import MethodError

# Below this variance, relative to the mean square, a float32 feature varies by rounding alone.
CONSTANT = 1e-10


def correlation_loss(student: Tensor, teacher: Tensor, alpha: float = 1.01) -> Tensor:
    """log2 sum_x |c_x - 1|^(2 alpha), c_x = (1 / N) sum_b s_bx t_bx -> scalar.

    student and teacher (N, D): the same D features (project the student first) of N >= 2 samples, standardised
    over the samples with the unbiased deviation. So |c_x| <= 1 - 1/N, and identical features give the least
    value, log2 D - 2 alpha log2 N; unrelated ones give about log2 D. alpha: the official example's; the code's
    default is 1.5.

    Ours, for safety: a feature that is constant over the samples counts as uncorrelated (c_x = 0) and gets no
    gradient, where the official code divides by zero; and 1 - c_x is kept at 1/N or above, so rounding never
    gives log2 0. Raises MethodError when the shapes differ or N < 2.
    """
    if student.shape != teacher.shape or len(student) < 2:
        raise MethodError(
            f"correlation loss needs the same features of two or more samples, got student "
            f"{tuple(student.shape)} and teacher {tuple(teacher.shape)}: project the student to the teacher's width"
        )
    samples = len(student)
    c = (_standardised(student) * _standardised(teacher)).sum(0) / samples
    return (1 - c).clamp(min=1 / samples).pow(2 * alpha).sum().log2()


def mutual_information_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """|G_s|^2 - |G_st|^2 (squared Frobenius norms, no logarithm), averaged over the groups -> scalar.

    student (G, n, Ds) and teacher (G, n, Dt): features of n samples in each of G groups; widths may differ.
    G_s holds the cosine similarities of the student's samples, G_st = G_s * G_t by element; both are scaled to
    trace one, so the norms are 2^-S of their Renyi entropies S of order 2. For features other than 0 the loss
    lies in [0, 1 - 1/n]. It is not 0 for identical features: compare differences.

    Groups are ours: ITRD compares all the images of a batch (G = 1).
    """
    ss = correlation(student)
    st = ss * correlation(teacher).to(ss)
    return (_trace_one(ss).pow(2) - _trace_one(st).pow(2)).sum((1, 2)).mean()


def _standardised(features: Tensor) -> Tensor:
    centred = features - features.mean(0)
    variance = centred.pow(2).sum(0) / (len(features) - 1)
    varies = variance > CONSTANT * features.detach().pow(2).mean(0)
    # The inner `where` keeps the infinite gradient of a root at 0 out of the unused branch.
    return torch.where(varies, centred * torch.where(varies, variance, 1).rsqrt(), 0)


def _trace_one(grams: Tensor) -> Tensor:
    """(G, n, n) -> each divided by its trace; a group whose features are all 0 stays 0."""
    trace = grams.diagonal(dim1=1, dim2=2).sum(1)
    return grams / trace.clamp(min=torch.finfo(grams.dtype).eps)[:, None, None]
