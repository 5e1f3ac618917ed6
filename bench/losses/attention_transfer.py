"""Attention transfer (Zagoruyko & Komodakis, ICLR 2017)."""

from bench.losses.base import Loss, Reads, Seen, Sums, register, weighed


@register("attention_transfer")
class AttentionTransfer(Loss):
    """Attention transfer: the student's features are large where the teacher's are."""

    reads = Reads.FEATURES

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.features import attention_transfer

        return weighed(attention_transfer(*seen.features), seen.objects)
