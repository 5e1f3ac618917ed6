"""Images as SAM sees them: a stream of them with prompts to learn from, a function of the seed alone."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from bench.tasks.prompts.draw import BACKGROUND, FOREGROUND, NO_POINT, Prompts, draw_background, draw_points
from bench.train.answers import Tensors
from datasets.clips import ImageCache, Stream
from datasets.errors import DataError
from datasets.images import VOID
from datasets.static import StaticImage
from methods.sam.boxes import mask_boxes
from methods.sam.frames import LOW_RES_STEP, input_size, to_input

PROMPTS = 4  # on an image of a batch: the last two by a box and with a background point, the others by a point
DISTANCES = (0.05, 0.5)  # of background points in training, as shares of the input's side
CACHE_MB = 512


@dataclass(frozen=True)
class Fitted:
    """An image in the network's square input of side S.

    image: float32 (3, S, S), normalised, padded with zeros. labels: uint8 (H, W) object ids of what is no padding.
    """

    image: Tensor
    labels: np.ndarray


def fit(still: tuple[np.ndarray, np.ndarray], side: int) -> Fitted:
    """An image uint8 (H, W, 3) and its ids uint8 (H, W), void ones as background, at input size."""
    frame, mask = still
    size = input_size(mask.shape[0], mask.shape[1], side)
    ids = cv2.resize(np.where(mask == VOID, 0, mask), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    image = to_input(torch.from_numpy(frame.copy()).permute(2, 0, 1).float() / 255, side)[0]
    return Fitted(image, ids)


def low_res(mask: np.ndarray, side: int) -> Tensor:
    """bool (H, W) of the input -> bool (S / 4, S / 4), read at the centres of the cells; padding is False."""
    small = np.zeros((side // LOW_RES_STEP, side // LOW_RES_STEP), bool)
    read = mask[LOW_RES_STEP // 2 :: LOW_RES_STEP, LOW_RES_STEP // 2 :: LOW_RES_STEP]
    small[: read.shape[0], : read.shape[1]] = read
    return torch.from_numpy(small)


class ImageStream(Stream):
    """The `steps * batch` images with prompts to learn from; every image comes once in an epoch.

    An item is {"image": float32 (3, S, S), "index": int64, which of the images; "valid": bool (S / 4, S / 4),
    what is no padding; "truth": bool (P, S / 4, S / 4), the object under each foreground point; "labelled": bool;
    "points": float32 (P, 2, 2), a foreground and a background point; "labels": int64 (P, 2); "boxes": float32
    (P, 4)}. Without an object in view prompts lie anywhere, and mean the background. DataError without images.
    """

    def __init__(self, images: Items[StaticImage], side: int, steps: int, batch: int, seed: int) -> None:
        if not images:
            raise DataError("no images to learn from: open a folder of them or hold out fewer")
        super().__init__(steps, batch)
        self.images, self.side, self.seed, self.cache = tuple(images), side, seed, ImageCache(CACHE_MB)

    def __getitem__(self, place: int) -> Tensors:
        number = self.number(place)
        index = self.index(number)
        fitted, rng = self.fitted(index), np.random.default_rng([self.seed, number])
        points = draw_points(fitted.labels, PROMPTS, rng)
        masks = [fitted.labels == fitted.labels[y, x] for x, y in points]
        distances = self.side * rng.uniform(*DISTANCES, PROMPTS)
        beside = [draw_background(fitted.labels, p, d, rng) for p, d in zip(points, distances, strict=True)]
        pairs = [[p, p if other is None else other] for p, other in zip(points, beside, strict=True)]
        labels = [[FOREGROUND, NO_POINT if other is None else BACKGROUND] for other in beside]
        return {
            "image": fitted.image,
            "index": torch.tensor(index),
            "valid": low_res(np.ones_like(fitted.labels, bool), self.side),
            "truth": torch.stack([low_res(mask, self.side) for mask in masks]),
            "labelled": torch.tensor(self.images[index].mask is not None),
            "points": torch.from_numpy(np.array(pairs, np.float32)),
            "labels": torch.tensor(labels),
            "boxes": mask_boxes(torch.from_numpy(np.stack(masks))),
        }

    def index(self, number: int) -> int:
        """Which image comes as the stream's `number`-th."""
        epoch, place = divmod(number, len(self.images))
        return int(_order(self.seed, epoch, len(self.images))[place])

    def fitted(self, index: int) -> Fitted:
        still = self.images[index]
        both = self.cache.get(still.image, lambda: np.dstack(still.read()))
        return fit((both[:, :, :3], both[:, :, 3]), self.side)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def prompts_of(batch: Tensors) -> list[tuple[slice, Prompts]]:
    """The prompts of a batch by kind, each with the places of its objects among the P: points, a box, a pair."""
    point, box, pair = slice(0, -2), slice(-2, -1), slice(-1, None)
    return [
        (point, Prompts(batch["points"][:, point, :1], batch["labels"][:, point, :1])),
        (box, Prompts(boxes=batch["boxes"][:, box])),
        (pair, Prompts(batch["points"][:, pair], batch["labels"][:, pair])),
    ]
