"""From streams of items to batches on the device."""

from collections.abc import Iterator

import torch
from torch import Tensor

from bench.plan.recipe import Schedule
from datasets.clips import ClipStream
from methods.masks import slot_planes


def loaded(stream, schedule: Schedule, start: int, device: str) -> Iterator[dict[str, Tensor]]:
    """Batches of a stream from step `start` on, on the device."""
    for batch in stream.loader(start, schedule.workers):
        yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def batches(clips: ClipStream, schedule: Schedule, start: int, device: str) -> Iterator[dict[str, Tensor]]:
    """As `loaded`, with the first masks taken apart."""
    slots = torch.arange(1, schedule.max_objects + 1, device=device)
    for batch in loaded(clips, schedule, start, device):
        batch["first_masks"] = slot_planes(batch["masks"][:, 0], schedule.max_objects)
        batch["valid"] = slots <= batch["num_objects"][:, None]
        yield batch
