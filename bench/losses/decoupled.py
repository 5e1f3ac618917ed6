"""MobileSAM's decoupled distillation (arXiv 2306.14289)."""

from bench.losses.base import Loss, Reads, Seen, Sums, register


@register("decoupled")
class Decoupled(Loss):
    """MSE between what the student's encoder and the teacher's make of an image or frame (MobileSAM)."""

    reads = Reads.ENCODINGS

    def sums(self, seen: Seen) -> Sums:
        import torch.nn.functional as F

        from methods.borrowed import imitation_loss
        from methods.memory import Query

        # a frame's keys and features differ in scale, so that each counts as a share of its own variance
        compare = imitation_loss if isinstance(seen.student, Query) else F.mse_loss
        return compare(seen.student, seen.teacher), 1  # of a batch; those of all processes are of one size
