"""DIST: the student's probabilities correlate with the teacher's, by pixel and by object.

Source: Knowledge Distillation from A Stronger Teacher (Huang et al., NeurIPS 2022) and its official code for
segmentation; tau and the factor tau^2 as in the code for classification. The paper on deformable attention
(arXiv 2401.13937) takes both losses over; its softmax of probabilities is one of logits (its text has
Y = softmax(Y)), and the inter loss that its algorithm forgets to return is returned here.
"""

import torch
from torch import Tensor

from methods.distillation.classification import masked_mean, wide
from methods.errors import MethodError

EPSILON = 1e-8


def inter_loss(student: Tensor, teacher: Tensor, valid: Tensor, tau: float = 1.0) -> Tensor:
    """tau^2 (1 - Pearson's correlation over the channels), averaged over the pixels -> scalar in [0, 2 tau^2].

    student and teacher: joint logits (B, T, K + 1, H, W), background first. valid bool (B, K): which of the
    K objects exist; the channels of the others are left out of the softmax and of the correlation.

    Ours: clips with a single object do not count. Two probabilities that sum to 1 correlate with +1 or -1
    whatever they are, so that such a pixel has a value but no gradient; `intra_loss` teaches these clips.
    Without any other clip the loss is 0. Raises MethodError when the shapes do not fit.
    """
    ours, theirs, exists = _probabilities(student, teacher, valid, tau)
    loss = 1 - _pearson(ours, theirs, exists, axes=(2,))[:, :, 0]
    several = valid.sum(1) >= 2
    return tau**2 * masked_mean(loss, several[:, None, None, None].expand_as(loss))


def intra_loss(student: Tensor, teacher: Tensor, valid: Tensor, tau: float = 1.0) -> Tensor:
    """tau^2 (1 - Pearson's correlation over the pixels), averaged over the channels -> scalar in [0, 2 tau^2].

    Arguments as in `inter_loss`. DIST correlates a class over all pixels of the batch. Ours: over all pixels
    and frames of one clip, since slot k of another clip is another object; the mean is over the existing
    objects of all clips and the clips' backgrounds, each counting once.
    """
    ours, theirs, exists = _probabilities(student, teacher, valid, tau)
    loss = 1 - _pearson(ours, theirs, exists, axes=(1, 3, 4))
    return tau**2 * masked_mean(loss, exists)


def _probabilities(student: Tensor, teacher: Tensor, valid: Tensor, tau: float) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax of both over the existing channels, and which these are: bool (B, 1, K + 1, 1, 1)."""
    if student.shape != teacher.shape or valid.shape != (student.shape[0], student.shape[2] - 1):
        raise MethodError(
            f"DIST needs logits of one shape (B, T, K + 1, H, W) and valid (B, K), got student "
            f"{tuple(student.shape)}, teacher {tuple(teacher.shape)} and valid {tuple(valid.shape)}"
        )
    exists = torch.cat([torch.ones_like(valid[:, :1]), valid], 1)[:, None, :, None, None]
    ours, theirs = ((wide(x) / tau).masked_fill(~exists, -torch.inf).softmax(2) for x in (student, teacher))
    return ours, theirs, exists


def _pearson(x: Tensor, y: Tensor, mask: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Correlation over `axes`, which stay with length 1, of what the broadcast mask keeps.

    As in DIST's code: EPSILON is added to the product of the deviations, so constants correlate with 0.
    """
    count = mask.expand_as(x).sum(axes, keepdim=True).clamp(min=1)
    x, y = (torch.where(mask, each - each.sum(axes, keepdim=True) / count, 0) for each in (x, y))
    of_x, of_y = (torch.linalg.vector_norm(each, dim=axes, keepdim=True) for each in (x, y))
    return (x * y).sum(axes, keepdim=True) / (of_x * of_y + EPSILON)
