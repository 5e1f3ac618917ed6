"""Asks SAM about one image: the encoder runs once, then any number of prompts in the image's own pixels.

Or for everything in it: a grid of points, and of their masks those that are good, stable and not there twice, as
SAM's automatic mask generator by its default settings (no crops, no repair of small regions).
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.errors import MethodError
from methods.interface import check_frame
from methods.sam.boxes import mask_boxes, nms
from methods.sam.frames import input_size, to_frame, to_input
from methods.sam.network import STRIDE, Sam


class Prediction(NamedTuple):
    """Answers to P prompts, M masks each.

    logits: float (P, M, H, W) at the frame's size, above 0 inside. scores: float (P, M) predicted IoUs.
    low_res: float (P, M, S / 4, S / 4) as decoded, fit to be given back as `mask_logits`.
    """

    logits: Tensor
    scores: Tensor
    low_res: Tensor

    @property
    def masks(self) -> Tensor:
        """bool (P, M, H, W)."""
        return self.logits > 0


class Predictor:
    """model: used as it is, on its device and in its mode."""

    embedding: Tensor  # (1, C, h, w) of the frame, once there is one
    size: tuple[int, int]  # of the frame

    def __init__(self, model: Sam) -> None:
        self.model = model

    @torch.inference_mode()
    def set_image(self, frame: Tensor) -> None:
        """Encode a frame, float (3, H, W) RGB in [0, 1]. Raises MethodError for anything else."""
        check_frame(frame)
        self.embedding = self.model.encode_image(to_input(frame, self.model.image_size))
        self.size = (frame.shape[1], frame.shape[2])

    def predict(self, *prompts: Any, **named: Any) -> Prediction:
        """Prompts as in `decode`."""
        low_res, scores = self.decode(*prompts, **named)
        return Prediction(self.upscale(low_res), scores, low_res)

    @torch.inference_mode()
    def decode(
        self,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        mask_logits: Tensor | None = None,
        multimask: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Prompts as in `Sam.decode_masks`, but points and boxes in pixels of the frame -> as there.

        That is `predict` without bringing the masks to the frame's size: its `low_res` and `scores`.
        """
        if not hasattr(self, "embedding"):
            raise MethodError("predict() before set_image(): give the frame first")
        scale = self._scale()
        points = None if points is None else points * scale
        boxes = None if boxes is None else boxes * scale.repeat(2)
        return self.model.decode_masks(self.embedding, points, labels, boxes, mask_logits, multimask)

    @torch.inference_mode()
    def upscale(self, low_res: Tensor) -> Tensor:
        """Logits (P, M, S / 4, S / 4) -> (P, M, H, W) at the frame's size."""
        return to_frame(low_res, self.size, self.model.image_size)

    def features_at(self, points: Tensor) -> Tensor:
        """The image embedding below points (..., 2) of the frame: (..., C), length 1."""
        x, y = (points * self._scale() / STRIDE).long().unbind(-1)
        return F.normalize(self.embedding[0, :, y, x].movedim(0, -1), dim=-1)

    def _scale(self) -> Tensor:
        """Pixels of the input, horizontally and vertically, in one of the frame."""
        (height, width), fitted = self.size, input_size(*self.size, self.model.image_size)
        return self.embedding.new_tensor([fitted[1] / width, fitted[0] / height])


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
