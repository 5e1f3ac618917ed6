"""DIST's losses between and within classes (Huang et al., NeurIPS 2022)."""

from bench.losses.base import Loss, Reads, Seen, Sums, register, weighed


@register("inter")
class Inter(Loss):
    """DIST's loss between classes: in every pixel the student's probabilities correlate with the teacher's."""

    reads = Reads.ANSWERS | Reads.TEACHERS_ANSWERS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.dist import inter_loss

        valid = seen.student.valid
        several = (valid.sum(1) >= 2).sum()  # clips, of which it is a mean
        return weighed(inter_loss(seen.student.logits, seen.teacher.logits, valid), several)


@register("intra")
class Intra(Loss):
    """DIST's loss within classes: every class's probabilities correlate over the pixels of a clip."""

    reads = Reads.ANSWERS | Reads.TEACHERS_ANSWERS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.dist import intra_loss

        valid = seen.student.valid
        channels = len(valid) + seen.objects
        return weighed(intra_loss(seen.student.logits, seen.teacher.logits, valid), channels)
