"""Poly-1 cross-entropy (Leng et al., ICLR 2022), plain or bootstrapped."""

from bench.losses.base import Loss, Reads, Seen, Sums, register, weighed
from bench.system.choices import number


@register("poly_ce")
class PolyCrossEntropy(Loss):
    """Poly-1 cross-entropy on the labels; epsilon 0 is plain cross-entropy.

    share: only this share of a frame's pixels, its hardest, counts (bootstrapping; STCN: 0.15). It falls from
    1 to that between `start` and `end`: shares of a stage's steps or, above 1, steps (STCN: 20000 and 70000).
    """

    weight: float = number(1.0, least=0)
    epsilon: float = number(1.0, least=-1)
    share: float = number(1.0, above=0, most=1)
    start: float = number(0.13, least=0)
    end: float = number(0.47, least=0)

    reads = Reads.LABELS | Reads.ANSWERS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.classification import bootstrap_share, bootstrapped, poly_cross_entropy

        per_pixel = poly_cross_entropy(seen.student.logits.transpose(1, 2), seen.target, self.epsilon)
        frames = per_pixel.flatten(0, 1)
        start, end = (when if when <= 1 else when / seen.steps for when in (self.start, self.end))
        share = bootstrap_share(seen.progress, start, end, self.share)
        return weighed(bootstrapped(frames, share), len(frames))
