"""FitNet's hints (Romero et al., ICLR 2015)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.losses.base import Loss, Reads, Sums, register, weighed
from bench.losses.seen import Seen

if TYPE_CHECKING:
    from torch import nn


@register("hint")
@dataclass
class Hint(Loss):
    """FitNet's loss: the student's features, through a linear layer, become the teacher's."""

    reads = Reads.FEATURES

    def projector(self, student_width: int, teacher_width: int) -> "nn.Module":
        from torch import nn

        return nn.Linear(student_width, teacher_width)

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.features import hint_loss

        student, teacher = seen.features
        projected = seen.projectors[self.name](student.movedim(1, -1)).movedim(-1, 1)
        return weighed(hint_loss(projected, teacher), seen.objects)
