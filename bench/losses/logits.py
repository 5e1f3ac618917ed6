"""Distillation of the teacher's logits."""

from bench.losses.base import Loss, Reads, Seen, Sums, counted, register
from bench.losses.pixels import EMBEDDING_STRIDE
from bench.system.choices import choice, number


@register("logits")
class Logits(Loss):
    """Distillation of the teacher's logits, on `all` pixels or near a `boundary` alone."""

    temperature: float = number(0.1, above=0)
    pixels: str = choice("all", "boundary")

    reads = Reads.ANSWERS | Reads.TEACHERS_ANSWERS | Reads.LABELS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.classification import logit_distillation
        from methods.distillation.sampling import boundary

        student, teacher = (each.logits.transpose(1, 2) for each in (seen.student, seen.teacher))
        divergence, target = logit_distillation(student, teacher, self.temperature), seen.target
        if self.pixels == "all":
            return counted(divergence)
        near = boundary(target.flatten(0, 1), EMBEDDING_STRIDE * seen.sampling.boundary_width)
        return counted(divergence, near.view_as(target))
