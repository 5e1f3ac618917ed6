"""What methods that follow objects in the order in which they were given share: checks, and the adapter's order."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from methods.errors import MethodError
from methods.interface import channel_order, check_added, check_frame, check_start


class Follower(ABC):
    """A `Method` with `add`, of which subclasses give three parts.

    They know the objects by their places in `_ids`, the order in which they were given, which frames that give
    some extend before `_give` is called.
    """

    _ids: Sequence[int] = ()

    @property
    def object_ids(self) -> list[int]:
        return sorted(self._ids)

    @torch.inference_mode()
    def start(self, frame: Tensor, mask: Tensor) -> None:
        ids = check_start(frame, mask)
        self._forget()
        self._ids = ids
        self._give(frame, mask.to(frame.device), ids)

    @torch.inference_mode()
    def add(self, frame: Tensor, mask: Tensor) -> Tensor:
        self._check_started("add")
        ids = check_added(frame, mask, self._ids)
        self._ids = [*self._ids, *ids]
        return self._give(frame, mask.to(frame.device), ids)[channel_order(self._ids)]

    @torch.inference_mode()
    def step(self, frame: Tensor) -> Tensor:
        check_frame(frame)
        self._check_started("step")
        return self._follow(frame)[channel_order(self._ids)]

    def _check_started(self, call: str) -> None:
        if not self._ids:
            raise MethodError(f"{call}() before start(): give the first frame and its mask first")

    @abstractmethod
    def _forget(self) -> None:
        """Drop the video so far."""

    @abstractmethod
    def _give(self, frame: Tensor, mask: Tensor, ids: list[int]) -> Tensor:
        """Take new objects of these ids from their mask, and say where all are: as `_follow`."""

    @abstractmethod
    def _follow(self, frame: Tensor) -> Tensor:
        """Probabilities (N + 1, H, W), background first, then the objects as they were given."""
