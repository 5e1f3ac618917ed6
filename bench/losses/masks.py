"""SAM's losses of the masks that prompts ask for."""

from bench.losses.base import Loss, Reads, Seen, Sums, counted, register


@register("masks")
class Masks(Loss):
    """SAM's loss of the masks that prompts ask for, focal and Dice 20 to 1, and of their predicted IoUs.

    predicted_iou: weight of the latter.
    """

    predicted_iou: float = 1.0

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

        found = []
        for x in seen.prompted:
            reached = mask_iou((x.logits.detach() > 0) & x.valid, x.target & x.valid)
            found.append(F.mse_loss(x.scores, reached))
        return counted(torch.stack(found))
