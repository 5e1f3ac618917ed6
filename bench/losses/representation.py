"""MobileVOS's representation loss."""

from bench.losses.base import Loss, Reads, Seen, Sums, register, weighed
from bench.system.choices import choice, number
from methods.distillation import NORMALIZERS


@register("representation")
class Representation(Loss):
    """MobileVOS's representation loss; omega 1 is distillation alone, 0 contrastive learning alone."""

    omega: float = number(0.95, least=0, most=1)
    normalizer: str = choice(*NORMALIZERS)

    reads = Reads.LABELS | Reads.PIXELS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.representation import representation_loss

        kinds, student, teacher = seen.pixels
        return weighed(representation_loss(student, teacher, kinds, self.omega, self.normalizer), len(kinds))
