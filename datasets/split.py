"""Holding out a part of the data by the hash of its names: the same everywhere and for ever."""

import hashlib
from collections.abc import Sequence as Items
from dataclasses import replace
from typing import TypeVar

from datasets.errors import DataError
from datasets.sequence import Sequence, VideoSet

Item = TypeVar("Item")


def hold_out(items: Items[Item], fraction: float = 0.1, seed: int = 0) -> tuple[list[Item], list[Item]]:
    """Split items (with a `name`, or names) into those for training and those held out, in order.

    An item is held out when the hash of its name is below `fraction`, so a split does not change when
    items are added, and items of one name stay together. With two names or more, a fraction above
    0 leaves at least one on each side.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction to hold out is {fraction}; it must be at least 0 and less than 1")
    names = [str(getattr(item, "name", item)) for item in items]
    ranked = sorted(set(names), key=lambda name: name_hash(name, seed))
    held = {name for name in ranked if name_hash(name, seed) < fraction}
    if fraction > 0 and len(ranked) > 1:
        held = (held | {ranked[0]}) - {ranked[-1]}
    train = [item for item, name in zip(items, names, strict=True) if name not in held]
    return train, [item for item, name in zip(items, names, strict=True) if name in held]


def hold_out_videos(video_set: VideoSet, fraction: float = 0.1, seed: int = 0) -> tuple[VideoSet, VideoSet]:
    """Split the sequences of a set by `hold_out`: (`<name>-train`, `<name>-held-out`).

    Raises DataError when one of the two would be empty.
    """
    parts = hold_out(video_set.sequences, fraction, seed)
    if not all(parts):
        whole = f"the {len(video_set)} sequences of {video_set.name}: each part needs one or more"
        raise DataError(f"cannot hold out {fraction:g} of {whole}; add sequences or choose a fraction above 0")
    return name_parts(video_set, *parts)


def name_parts(video_set: VideoSet, train: list[Sequence], held: list[Sequence]) -> tuple[VideoSet, VideoSet]:
    """The two parts of a set: (`<name>-train`, `<name>-held-out`)."""
    held_out = replace(video_set, name=f"{video_set.name}-held-out", sequences=tuple(held))
    return replace(video_set, name=f"{video_set.name}-train", sequences=tuple(train)), held_out


def name_hash(name: str, seed: int) -> float:
    """A number in [0, 1) that looks random and never changes."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]) / 2**64
