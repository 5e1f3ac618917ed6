"""Losses on masks: how far objects and their ground truth overlap, and SAM's of the masks that prompts ask for."""

from typing import TYPE_CHECKING

from bench.losses.base import Loss, Reads, Seen, Sums, counted, register
from bench.system.choices import number

if TYPE_CHECKING:
    from torch import Tensor


@register("masks")
class Masks(Loss):
    """SAM's loss of the masks that prompts ask for, focal and Dice 20 to 1, and of their predicted IoUs.

    predicted_iou: weight of the latter.
    """

    predicted_iou: float = number(1.0, least=0)

    reads = Reads.LABELS | Reads.PROMPTED

    @property
    def parts(self) -> list[Loss]:
        return [self, PredictedIou(self.predicted_iou)]

    def sums(self, seen: Seen) -> Sums:
        """Of the M answers to a prompt the best one learns the mask."""
        import torch

        from methods.distillation.prompted import mask_losses

        best = [mask_losses(x.logits, x.target, x.valid).min(2).values.mean() for x in seen.prompted]
        return counted(torch.stack(best))


class PredictedIou(Loss):
    """All answers learn how good they are."""

    name = "predicted_iou"
    reads = Masks.reads

    def sums(self, seen: Seen) -> Sums:
        import torch
        import torch.nn.functional as F

        from methods.distillation.prompted import mask_iou

        reached = [mask_iou((x.logits.detach() > 0) & x.valid, x.target & x.valid) for x in seen.prompted]
        found = [F.mse_loss(x.scores, iou) for x, iou in zip(seen.prompted, reached, strict=True)]
        return counted(torch.stack(found))


@register("dice")
class Dice(Loss):
    """Dice loss of every object; ours: with few steps, cross-entropy alone is slow to find small objects."""

    reads = Reads.LABELS | Reads.ANSWERS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.classification import dice_losses

        return counted(dice_losses(*_objects(seen)))


@register("jaccard")
class Jaccard(Loss):
    """Soft Jaccard loss of every object, which AOT and DeAOT are trained with."""

    reads = Reads.LABELS | Reads.ANSWERS

    def sums(self, seen: Seen) -> Sums:
        from methods.distillation.classification import jaccard_losses

        return counted(jaccard_losses(*_objects(seen)))


def _objects(seen: Seen) -> "tuple[Tensor, Tensor]":
    """Probabilities and ground truth of the objects that exist: others have neither pixels nor probability."""
    video, slot = seen.student.video, seen.student.slot
    probabilities = seen.student.logits.softmax(2)[video, :, slot + 1]
    return probabilities, (seen.target[video] == slot.view(-1, 1, 1, 1) + 1).float()
