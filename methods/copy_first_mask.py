"""The baseline below which no method should fall: every frame gets the first mask."""

import torch
from torch import Tensor

from methods.errors import MethodError
from methods.interface import check_frame, check_start, one_hot_objects


class CopyFirstMask:
    """Answers each frame with the first mask, resized (nearest) when the frame's size differs."""

    def __init__(self) -> None:
        self.object_ids: list[int] = []
        self._probabilities: Tensor | None = None

    def start(self, frame: Tensor, mask: Tensor) -> None:
        self.object_ids = check_start(frame, mask)
        objects = one_hot_objects(mask, self.object_ids).to(frame.device)
        self._probabilities = torch.cat([1 - objects.sum(0, keepdim=True), objects])

    def step(self, frame: Tensor) -> Tensor:
        check_frame(frame)
        if self._probabilities is None:
            raise MethodError("step() before start(): give the first frame and its mask first")
        if self._probabilities.shape[1:] == frame.shape[1:]:
            return self._probabilities.clone()
        return torch.nn.functional.interpolate(self._probabilities[None], size=frame.shape[1:])[0]
