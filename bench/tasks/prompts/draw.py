"""Prompts drawn with a seed: points in objects, boxes around them, points with one beside that is not theirs."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from datasets.augment import visible_objects
from methods.sam.boxes import mask_boxes
from methods.sam.frames import LOW_RES_STEP
from methods.sam.network import Sam

DIRECTIONS = 16  # tried for a background point
FOREGROUND, BACKGROUND, NO_POINT = 1, 0, -1


@dataclass(frozen=True)
class Prompts:
    """P prompts on each of B images, in pixels of the network's input; see `Sam.decode_masks`.

    points float (B, P, N, 2), labels int64 (B, P, N), boxes float (B, P, 4); the other kind is None.
    """

    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether to ask for three masks: a single point may mean several things."""
        return self.points is not None and self.points.shape[2] == 1

    def to(self, device: str | torch.device) -> "Prompts":
        return replace(self, **{name: x.to(device) for name, x in vars(self).items() if x is not None})

    def decode(self, model: Sam, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, C, h, w) -> mask logits (B, P, M, S / 4, S / 4) and predicted IoUs (B, P, M)."""
        given = {name: x for name, x in vars(self).items() if x is not None}
        count = next(iter(given.values())).shape[1]
        flat = {name: x.flatten(0, 1) for name, x in given.items()}
        repeated = embeddings.repeat_interleave(count, 0)
        logits, scores = model.decode_masks(repeated, **flat, multimask=self.ambiguous)
        return logits.unflatten(0, (-1, count)), scores.unflatten(0, (-1, count))


def point_prompts(points: np.ndarray) -> Prompts:
    """Of one image's points (P, N, 2): N is 1, or 2 with a background point beside each."""
    labels = torch.tensor([FOREGROUND, BACKGROUND][: points.shape[1]]).repeat(len(points), 1)
    return Prompts(torch.from_numpy(points.astype(np.float32))[None], labels[None])


def best(logits: Tensor, scores: Tensor) -> Tensor:
    """Of M answers to each prompt, (B, P, M, h, w) and (B, P, M), the one of the best score: (B, P, h, w)."""
    place = scores.argmax(2)[:, :, None, None, None]
    return logits.take_along_dim(place, 2)[:, :, 0]


def draw_points(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """int (count, 2) x, y: each in an object drawn from those that are visible, or anywhere where there is none.

    labels: uint8 (H, W) of object ids, 0 = background.
    """
    ids = visible_objects(labels)
    if not len(ids):
        return np.stack([rng.integers(labels.shape[1], size=count), rng.integers(labels.shape[0], size=count)], 1)
    places = {i: np.flatnonzero(labels == i) for i in ids}
    chosen = [places[i][rng.integers(len(places[i]))] for i in rng.choice(ids, count)]
    rows, columns = np.unravel_index(chosen, labels.shape)
    return np.stack([columns, rows], 1)


def draw_background(
    labels: np.ndarray, point: np.ndarray, distance: float, rng: np.random.Generator
) -> np.ndarray | None:
    """int (2,) x, y at this distance from a point, in a direction drawn from those that leave its object.

    labels: uint8 (H, W) of object ids, where the point's own is 0 anywhere will do. None where all directions
    tried end beyond the frame or in the object.
    """
    own = labels[point[1], point[0]]
    for angle in rng.uniform(0, 2 * np.pi, DIRECTIONS):
        x, y = np.rint(point + distance * np.array([np.cos(angle), np.sin(angle)])).astype(int)
        if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1] and (own == 0 or labels[y, x] != own):
            return np.array([x, y])
    return None


def boxes_around(masks: Tensor) -> Tensor:
    """Low-resolution masks bool (N, S / 4, S / 4) -> float (N, 4), as `mask_boxes`, in pixels of the input."""
    last = LOW_RES_STEP - 1
    return LOW_RES_STEP * mask_boxes(masks) + torch.tensor([0, 0, last, last], device=masks.device)
