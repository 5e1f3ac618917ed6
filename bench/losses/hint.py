"""FitNet's hints (Romero et al., ICLR 2015)."""

from bench.losses.base import Projected, Reads, Seen, Sums, register, weighed


@register("hint")
class Hint(Projected):
    """FitNet's loss: the student's features, through a linear layer, become the teacher's."""

    reads = Reads.FEATURES

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.features import hint_loss

        student, teacher = seen.features
        projected = seen.projectors[self.name](student.movedim(1, -1)).movedim(-1, 1)
        return weighed(hint_loss(projected, teacher), seen.objects)
