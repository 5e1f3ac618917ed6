"""PEFD: feature distillation through an ensemble of projectors.

Source: Improved Feature Distillation via Projector Ensemble (Chen et al., NeurIPS 2022) and its official code.
"""

from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.errors import MethodError


class ProjectorEnsemble(nn.Module):
    """Mean of `count` projections ReLU(W_i x + b_i) of a student's map: (O, Ds, h, w) -> (O, Dt, h, w).

    The projectors differ by their random start alone; they train along and are then dropped. The ReLU is what
    makes an ensemble of them: the mean of linear maps is one linear map. It also says which features to
    teach: those of the teacher after a ReLU, since no projection is negative. The paper projects the vector
    before the classifier; a 1x1 convolution does the same for each pixel (ours). Count 3 as in the code.
    """

    def __init__(self, student_width: int, teacher_width: int, count: int = 3) -> None:
        super().__init__()
        if count < 1:
            raise MethodError(f"PEFD: {count} projectors; give 1 or more")
        self.projectors = nn.ModuleList(nn.Conv2d(student_width, teacher_width, 1) for _ in range(count))

    def forward(self, student: Tensor) -> Tensor:
        projections = (F.relu(project(student)) for project in self.projectors)
        return reduce(torch.add, projections) / len(self.projectors)


def direction_loss(projected: Tensor, teacher: Tensor) -> Tensor:
    """1 - cosine of the angle between the two features of each pixel, averaged -> scalar in [0, 2].

    projected and teacher (O, D, h, w). A feature that is all 0 costs 1. The official code weighs the loss with
    25 beside a cross-entropy of weight 1. Raises MethodError when the shapes differ.
    """
    if projected.shape != teacher.shape:
        raise MethodError(
            f"PEFD needs maps of one shape, got projected student {tuple(projected.shape)} and teacher "
            f"{tuple(teacher.shape)}: project to the teacher's width, and resize one of them"
        )
    return (1 - F.cosine_similarity(projected, teacher, dim=1)).mean()
