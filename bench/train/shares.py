"""How much of what a network learns comes from each loss: the norms of their gradients."""

from collections.abc import Iterable
from statistics import median

import torch
from torch import nn

from bench.losses.base import Loss
from bench.train.answers import Tensors
from bench.train.ranks import ALONE, Ranks

LOOKS = 5  # steps of a training at which it is measured, evenly; each costs a backward pass a loss
PREFIX = "share_"  # of what a curve holds of it


def is_measured(step: int, steps: int) -> bool:
    """Whether the shares are measured at this step of so many."""
    return step in {round(steps * look / LOOKS) for look in range(LOOKS)}


def gradient_shares(
    losses: dict[str, Loss], found: Tensors, parameters: Iterable[nn.Parameter], ranks: Ranks = ALONE
) -> Tensors:
    """{share_<loss>: norm of the weighted loss's gradient over the parameters / that of the losses on labels}.

    Of every loss that a teacher has a part in. The losses on labels are those without; where there are none, all.
    found: the scalar parts of the losses, by their names, whose graph stays; of several ranks each has its own.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]

    def norm(whole: Iterable[Loss]) -> torch.Tensor:
        parts = [part.weight * found[part.name] for loss in whole for part in loss.parts]
        gradients = torch.autograd.grad(
            torch.stack(parts).sum(), learning, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return ranks.total(torch.cat([each.flatten() for each in gradients])).norm() / ranks.size

    taught = {name: loss for name, loss in losses.items() if not loss.on_labels_alone}
    on_labels = [loss for loss in losses.values() if loss.on_labels_alone] or list(losses.values())
    if not taught:
        return {}
    whole = norm(on_labels)
    return {PREFIX + name: norm([loss]) / whole for name, loss in taught.items()}


def typical_shares(curve: list[dict[str, float]]) -> dict[str, float]:
    """{loss: median of its shares along a training} of a training's curve."""
    names = dict.fromkeys(key for point in curve for key in point if key.startswith(PREFIX))
    return {name.removeprefix(PREFIX): median(p[name] for p in curve if name in p) for name in names}
