"""Losses on where networks look: attention maps (arXiv 2401.13937), and where their features are large."""

from bench.losses.base import Loss, Reads, Seen, Sums, counted, register, weighed
from bench.system.choices import choice, number


@register("attention")
class Attention(Loss):
    """Distillation of long-term attention maps, the student's last from one of the teacher's, by `cka` or `kl`.

    teacher_map: which of the teacher's modules gives the map, counted from 1; null: the last.
    """

    measure: str = choice("cka", "kl")
    teacher_map: int | None = number(None, least=1)

    reads = Reads.MAPS

    def sums(self, seen: Seen) -> Sums:
        """Over the frames, whose maps may differ in their number of keys."""
        import torch

        from methods.distillation.cka import attention_kl, attention_loss

        compare = {"cka": attention_loss, "kl": attention_kl}[self.measure]
        (own,) = seen.student.maps.values()
        theirs = seen.teacher.maps[self.teacher_map or max(seen.teacher.maps)]
        return counted(torch.stack([compare(*maps) for maps in zip(own, theirs, strict=True)]))


@register("attention_transfer")
class AttentionTransfer(Loss):
    """The student's features are large where the teacher's are (Zagoruyko & Komodakis, ICLR 2017)."""

    reads = Reads.FEATURES

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.features import attention_transfer

        return weighed(attention_transfer(*seen.features), seen.objects)
