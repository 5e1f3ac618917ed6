"""Batches of clips, and what a network says of them: its rollout, with the attention maps that recipes compare."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from bench.plan.recipe import Schedule
from bench.system.errors import ConfigError
from datasets.clips import ClipStream
from methods.distillation.hooks import attention_maps
from methods.masks import slot_planes
from methods.space_time import Rollout

Tensors = dict[str, Tensor]  # of a batch, or losses, by name


def batches(clips: ClipStream, schedule: Schedule, start: int, device: str) -> Iterator[Tensors]:
    """Batches from step `start` on, on the device, with the first masks taken apart."""
    slots = torch.arange(1, schedule.max_objects + 1, device=device)
    for found in clips.loader(start, schedule.workers):
        batch = {name: value.to(device, non_blocking=True) for name, value in found.items()}
        batch["first_masks"] = slot_planes(batch["masks"][:, 0], schedule.max_objects)
        batch["valid"] = slots <= batch["num_objects"][:, None]
        yield batch


def answer(
    method: Any,
    batch: Tensors,
    maps: Iterable[int] = (),
    generator: torch.Generator | None = None,
    guide: Tensor | None = None,
) -> Rollout:
    """Roll the method out over a batch, looking at the attention maps of these numbers (see `map_number`).

    generator: what a network in training draws from. guide: labels int64 (B, T, H, W) to remember in place of its
    own answers.
    """
    names: dict[int, str] = {number: method.attention_modules[number - 1] for number in maps}
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
