"""From what a student and its teacher answer to the weighted sum of the losses of a recipe."""

import torch
from torch import nn

from bench.losses.base import Loss, Seen
from bench.train.answers import Tensors
from bench.train.ranks import ALONE, Ranks


def weighted(losses: dict[str, Loss], seen: Seen, ranks: Ranks = ALONE) -> Tensors:
    """All parts of the losses, each a scalar; `total` is their weighted sum.

    ranks: with several, the clips are a part of a batch, and the mean of each loss over the ranks is that of the
    batch.
    """
    found = {}
    parts = [part for loss in losses.values() for part in loss.parts]
    for part in parts:
        total, count = part.sums(seen)
        # what is a mean over objects, say, is weighed by how many of the batch's are here
        found[part.name] = ranks.share(count) * (total / torch.as_tensor(count).clamp(min=1))
    return {**found, "total": torch.as_tensor(sum(part.weight * found[part.name] for part in parts))}


def make_projectors(losses: dict[str, Loss], student_width: int, teacher_width: int) -> nn.ModuleDict:
    """From the student's features to the teacher's, of the losses that have one."""
    made = {name: loss.projector(student_width, teacher_width) for name, loss in losses.items()}
    return nn.ModuleDict({name: projector for name, projector in made.items() if projector is not None})
