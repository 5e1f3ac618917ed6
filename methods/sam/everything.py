"""Segment everything: a grid of points, and of their masks those that are good, stable and not there twice.

As SAM's automatic mask generator by its default settings (no crops, no repair of small regions).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from methods.sam.boxes import mask_boxes, nms
from methods.sam.predictor import Predictor


class Proposals(NamedTuple):
    """M masks by falling score.

    masks: bool (M, H, W). boxes: float (M, 4) left, top, right, bottom, the last pixels included.
    scores: float (M,) predicted IoUs. stability: float (M,). points: float (M, 2) x, y that each was found by.
    """

    masks: Tensor
    boxes: Tensor
    scores: Tensor
    stability: Tensor
    points: Tensor

    def select(self, index: Tensor) -> "Proposals":
        return Proposals(*(each[index] for each in self))


def point_grid(per_side: int, size: tuple[int, int]) -> Tensor:
    """x, y of the centres of per_side x per_side equal cells of a frame of `size`: (per_side ** 2, 2), by rows."""
    centres = (torch.arange(per_side) + 0.5) / per_side
    y, x = torch.meshgrid(centres * size[0], centres * size[1], indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)


def stability_score(logits: Tensor, offset: float = 1.0) -> Tensor:
    """(..., H, W) -> (...): IoU of the masks cut at `offset` above and below 0; 0 when both are empty."""
    inner = (logits > offset).flatten(-2).sum(-1)
    outer = (logits > -offset).flatten(-2).sum(-1)
    return inner / outer.clamp(min=1)


@torch.inference_mode()
def segment_everything(
    predictor: Predictor,
    frame: Tensor,
    points_per_side: int = 32,
    points_per_batch: int = 64,
    min_score: float = 0.88,
    min_stability: float = 0.95,
    stability_offset: float = 1.0,
    max_box_iou: float = 0.7,
) -> Proposals:
    """Masks of all that is in a frame, float (3, H, W) RGB in [0, 1]. The defaults are SAM's."""
    predictor.set_image(frame)
    grid = point_grid(points_per_side, predictor.size).to(frame.device)
    found = []
    for points in grid.split(points_per_batch):
        labels = torch.ones(len(points), 1, dtype=torch.long, device=points.device)
        low_res, scores = predictor.decode(points[:, None], labels)
        good = scores > min_score  # before the masks grow to the frame's size: that costs the most
        logits = predictor.upscale(low_res[good][:, None])[:, 0]
        stability, inside, asked = stability_score(logits, stability_offset), logits > 0, good.nonzero()[:, 0]
        each = Proposals(inside, mask_boxes(inside), scores[good], stability, points[asked])
        found.append(each.select(stability >= min_stability))
    every = Proposals(*map(torch.cat, zip(*found, strict=True)))
    return every.select(nms(every.boxes, every.scores, max_box_iou))
