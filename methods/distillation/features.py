"""Losses on feature maps: hints (FitNet) and attention transfer."""

import torch.nn.functional as F
from torch import Tensor

from methods.errors import MethodError


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of two feature maps (FitNets, Romero et al., ICLR 2015) -> scalar.

    student and teacher (O, D, h, w); project the student to the teacher's width first. The paper's 1/2 is left
    to the weight of the loss, and the mean over all elements replaces its sum, so map sizes compare.
    Raises MethodError when the shapes differ.
    """
    if student.shape != teacher.shape:
        raise MethodError(
            f"hint loss needs maps of one shape, got student {tuple(student.shape)} and teacher "
            f"{tuple(teacher.shape)}: project the student to the teacher's width"
        )
    return F.mse_loss(student, teacher)


def attention_transfer(student: Tensor, teacher: Tensor) -> Tensor:
    """|Q_s / |Q_s| - Q_t / |Q_t||^2, Q = vec(sum_c F_c^2), averaged over O -> scalar in [0, 2].

    student (O, Ds, h, w) and teacher (O, Dt, h, w): widths may differ, and neither map's scale matters.
    Source: attention transfer with F_sum^2 (Zagoruyko & Komodakis, ICLR 2017). The squared norm is the
    official code's, smooth at 0, where the paper's equation has the norm itself (p = 2); that code also divides
    by h w, which we leave out, so the value does not shrink with resolution. Raises MethodError when O, h or w
    differ.
    """
    if student[:, 0].shape != teacher[:, 0].shape:
        raise MethodError(
            f"attention transfer needs the same number of maps, of one height and width, got "
            f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}: resize one of them"
        )
    return (_attention(student) - _attention(teacher)).pow(2).sum(1).mean()


def _attention(maps: Tensor) -> Tensor:
    """(O, D, h, w) -> (O, h w), each of unit length; an all-zero map stays 0."""
    return F.normalize(maps.pow(2).sum(1).flatten(1), dim=1)
