"""Where the first mask of a clip comes from: a file, objects pasted on its frames, or proposals of SAM."""

import hashlib
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.score.inference import to_tensor
from datasets.static import StaticImage
from datasets.synthesis import Pasted
from datasets.unlabelled import Clip
from methods.sam.predictor import Predictor, segment_everything

PICTURES = (1, 2)  # pasted on a clip, from and to
TRIES = 20  # pictures whose objects do not show
POINTS = 16  # along a side of the frame, of which SAM is asked
AREA = (0.005, 0.4)  # of the frame: smaller is hard to follow, larger is background
FREE = 0.9  # of a proposal's pixels that those before it leave


@dataclass(frozen=True)
class Start:
    """What a network labels: how it starts, the mask of frame 0, and the frames; exact: gives their known masks."""

    how: str
    mask: np.ndarray
    frame: Callable[[int], np.ndarray]
    exact: Callable[[int], np.ndarray] | None = None


def given(clip: Clip) -> Start:
    return Start("mask", clip.first_mask(), clip.frame)


def pasted(clip: Clip, stills: Items[StaticImage], seed: int) -> Start | None:
    """Objects of one or two of the images, drawn by the seed and the clip's name; None where none of them shows."""
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(clip.name.encode()).digest()[:4])])
    for _ in range(TRIES):
        chosen = rng.integers(len(stills), size=rng.integers(PICTURES[0], PICTURES[1] + 1))
        try:
            return _moving(clip, Pasted(clip.size, [stills[k].read() for k in chosen], rng))
        except ValueError:
            continue
    return None


def _moving(clip: Clip, objects: Pasted) -> Start:
    def exact(t: int) -> np.ndarray:
        return objects.on(np.zeros((*clip.size, 3), np.uint8), t)[1]

    return Start("pasted", exact(0), lambda t: objects.on(clip.frame(t), t)[0], exact)


def proposed(clip: Clip, sam: Any, most: int, device: str) -> Start | None:
    """At most so many of the things that SAM sees in frame 0, the surest first; None where it sees none."""
    frame = clip.frame(0)
    found = segment_everything(Predictor(sam), to_tensor(frame, device), points_per_side=POINTS)
    mask, objects = np.zeros(clip.size, np.uint8), 0
    for one in found.masks.cpu().numpy():
        if objects < most and AREA[0] < one.mean() < AREA[1] and (mask[one] == 0).mean() > FREE:
            objects += 1
            mask[one & (mask == 0)] = objects
    return Start("proposed", mask, clip.frame) if objects else None
