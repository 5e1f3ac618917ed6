"""What a network says of a batch of clips: its rollout, with the attention maps that recipes compare."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.system.errors import ConfigError
from methods.distillation.hooks import attention_maps
from methods.space_time import Rollout


def answer(
    method: nn.Module,
    batch: dict[str, Tensor],
    maps: Iterable[int] = (),
    generator: torch.Generator | None = None,
    guide: Tensor | None = None,
) -> Rollout:
    """Roll the method out over a batch, looking at the attention maps of these numbers (see `map_number`).

    generator: what a network in training draws from. guide: labels int64 (B, T, H, W) to remember in place of its
    own answers.
    """
    names = {number: method.attention_modules[number - 1] for number in maps}
    with attention_maps(method, names.values()) as found:
        rollout = method.roll_out(batch["frames"], batch["first_masks"], batch["valid"], generator, guide)
    judged = rollout.logits.shape[1]  # what a method computes on the annotated frame comes before these
    return replace(rollout, maps={number: found[name][-judged:] for number, name in names.items()})


def map_number(method: nn.Module, wanted: int | None) -> int:
    """The number, from 1, of an attention map of the method; None is its last. Raises ConfigError without one."""
    available = len(getattr(method, "attention_modules", ()))
    if not available:
        raise ConfigError(
            f"recipe.attention: a {type(method).__name__} has no attention maps to distil; take a DeAOT as method "
            f"and as teacher.method, or set recipe.attention.weight=0"
        )
    if wanted is not None and not 1 <= wanted <= available:
        raise ConfigError(f"recipe.attention.teacher_map={wanted}: the teacher has the maps 1 to {available}")
    return wanted or available
