"""PEFD: feature distillation through an ensemble of projectors (Chen et al., NeurIPS 2022)."""

from typing import TYPE_CHECKING

from bench.losses.base import Loss, Reads, Seen, Sums, register, weighed
from bench.system.choices import number

if TYPE_CHECKING:
    from torch import nn


@register("pefd")
class ProjectorEnsemble(Loss):
    """PEFD: the mean of several projections of the student's features points where the teacher's do."""

    projectors: int = number(3, least=1, most=1024)

    reads = Reads.FEATURES

    def projector(self, student_width: int, teacher_width: int) -> "nn.Module":
        from methods.distillation import pefd

        return pefd.ProjectorEnsemble(student_width, teacher_width, self.projectors)

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.pefd import direction_loss

        student, teacher = seen.features
        return weighed(direction_loss(seen.projectors[self.name](student), teacher), seen.objects)
