"""Losses on how far each object and its ground truth overlap."""

from typing import TYPE_CHECKING

from bench.losses.base import Loss, Reads, Seen, Sums, counted, register

if TYPE_CHECKING:
    from torch import Tensor


class Overlap(Loss):
    reads = Reads.LABELS | Reads.ANSWERS

    @staticmethod
    def objects(seen: Seen) -> "tuple[Tensor, Tensor]":
        """Probabilities and ground truth of the objects that exist: others have neither pixels nor probability."""
        student = seen.student
        probabilities = student.logits.softmax(2)[student.video, :, student.slot + 1]
        own = seen.target[student.video] == student.slot.view(-1, 1, 1, 1) + 1
        return probabilities, own.float()


@register("dice")
class Dice(Overlap):
    """Dice loss of every object; ours: with few steps, cross-entropy alone is slow to find small objects."""

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.classification import dice_losses

        return counted(dice_losses(*self.objects(seen)))


@register("jaccard")
class Jaccard(Overlap):
    """Soft Jaccard loss of every object, which AOT and DeAOT are trained with."""

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.classification import jaccard_losses

        return counted(jaccard_losses(*self.objects(seen)))
