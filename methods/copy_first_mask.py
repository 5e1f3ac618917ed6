"""The baseline below which no method should fall: every frame gets the mask that an object was given with."""

import torch
from torch import Tensor

from methods.errors import MethodError
from methods.interface import channel_order, check_added, check_frame, check_start, one_hot_objects


class CopyFirstMask:
    """Answers each frame with the first mask, resized (nearest) when the frame's size differs.

    Objects that are added later cover those before them, in the frames after it too.
    """

    def __init__(self) -> None:
        self.object_ids: list[int] = []
        self._probabilities: Tensor | None = None

    def start(self, frame: Tensor, mask: Tensor) -> None:
        self.object_ids = check_start(frame, mask)
        self._probabilities = with_background(one_hot_objects(mask, self.object_ids).to(frame.device))

    def step(self, frame: Tensor) -> Tensor:
        check_frame(frame)
        if self._probabilities is None:
            raise MethodError("step() before start(): give the first frame and its mask first")
        if self._probabilities.shape[1:] == frame.shape[1:]:
            return self._probabilities.clone()
        return torch.nn.functional.interpolate(self._probabilities[None], size=frame.shape[1:])[0]

    def add(self, frame: Tensor, mask: Tensor) -> Tensor:
        if self._probabilities is None:
            raise MethodError("add() before start(): give the first frame and its mask first")
        new = check_added(frame, mask, self.object_ids)
        added = one_hot_objects(mask, new).to(frame.device)
        known = self.step(frame)[1:] * (1 - added.sum(0))
        ids = [*self.object_ids, *new]
        self._probabilities = with_background(torch.cat([known, added]))[channel_order(ids)]
        self.object_ids = sorted(ids)
        return self._probabilities.clone()

    def video_state(self) -> dict:
        return {"ids": list(self.object_ids), "probabilities": self._probabilities}

    def load_video_state(self, state: dict) -> None:
        self.object_ids, self._probabilities = state["ids"], state["probabilities"]


def with_background(objects: Tensor) -> Tensor:
    """Planes of objects that exclude each other (N, H, W) -> (N + 1, H, W), background first."""
    return torch.cat([1 - objects.sum(0, keepdim=True), objects])
