"""How much of what a network learns comes from each loss: the norms of their gradients."""

from collections.abc import Iterable
from statistics import median

import torch
from torch import nn

from bench.losses.base import Loss
from bench.train.answers import Tensors

LOOKS = 5  # steps of a training at which it is measured, evenly; each costs a backward pass a loss
PREFIX = "share_"  # of what a curve holds of it


def is_measured(step: int, steps: int) -> bool:
    """Whether the shares are measured at this step of so many."""
    return step in {round(steps * look / LOOKS) for look in range(LOOKS)}


def gradient_shares(losses: dict[str, Loss], found: Tensors, parameters: Iterable[nn.Parameter]) -> Tensors:
    """{share_<loss>: norm of the weighted loss's gradient over the parameters / that of the losses on labels}.

    These are the losses that need no teacher; where there are none, all losses. found: the scalar parts of the
    losses, by their names, whose graph stays. A loss that no parameter has a part in has the share 0.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]

    def norm(*parts: Loss) -> torch.Tensor:
        total = sum(part.weight * found[part.name] for part in parts)
        gradients = torch.autograd.grad(total, learning, retain_graph=True, allow_unused=True)
        return nn.utils.get_total_norm([each for each in gradients if each is not None])

    on_labels = [loss for loss in losses.values() if loss.on_labels_alone] or list(losses.values())
    whole = norm(*(part for loss in on_labels for part in loss.parts))
    return {PREFIX + name: norm(*loss.parts) / whole for name, loss in losses.items()}


def typical_shares(curve: list[dict[str, float]]) -> dict[str, float]:
    """{loss: median of its shares along a training} of a training's curve."""
    names = dict.fromkeys(key for point in curve for key in point if key.startswith(PREFIX))
    return {name.removeprefix(PREFIX): median(p[name] for p in curve if name in p) for name in names}
