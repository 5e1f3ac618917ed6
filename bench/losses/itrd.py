"""The two losses of ITRD (Miles et al., BMVC 2022) on the features of sampled pixels."""

from bench.losses.base import Loss, Projected, Reads, Seen, Sums, register, weighed
from bench.system.choices import number


@register("itrd_mutual_information")
class MutualInformation(Loss):
    """ITRD's mutual-information loss of the sampled pixels' features."""

    reads = Reads.LABELS | Reads.PIXELS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.itrd import mutual_information_loss

        kinds, student, teacher = seen.pixels
        return weighed(mutual_information_loss(student, teacher), len(kinds))


@register("itrd_correlation")
class Correlation(Projected):
    """ITRD's correlation loss of the sampled pixels' features, the student's through a linear layer."""

    alpha: float = number(1.01, above=0)

    reads = Reads.LABELS | Reads.PIXELS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.itrd import correlation_loss

        _, student, teacher = seen.pixels
        projected = seen.projectors[self.name](student)
        student, teacher = (seen.ranks.rows(each.flatten(0, 1)) for each in (projected, teacher))
        return correlation_loss(student, teacher, self.alpha), 1  # of all processes' pixels together
