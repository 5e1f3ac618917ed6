"""Space-time memory: what is seen in frames, similarity of keys, readout of values, and what is remembered."""

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from methods.errors import MethodError


class Query(NamedTuple):
    """What a space-time-memory network sees in B frames; the trailing number is the stride."""

    key16: Tensor  # (B, Ck, h, w), compared with the memory
    context16: Tensor  # (B, Cv, h, w), joins the readout in the decoder
    f16: Tensor
    f8: Tensor
    f4: Tensor

    def select(self, index) -> "Query":
        """The frames of `index` along the batch axis."""
        return Query(*(each[index] for each in self))


def similarity(memory_key: Tensor, query_key: Tensor) -> Tensor:
    """Negative squared L2 distance / sqrt(C), up to a constant per query (STCN, section 3.2).

    memory_key (B, C, N), query_key (B, C, M) -> (B, M, N). The query's own norm is left out because
    the softmax over the memory cancels it.
    """
    dot = query_key.transpose(1, 2) @ memory_key
    return (2 * dot - memory_key.pow(2).sum(1).unsqueeze(1)) / math.sqrt(memory_key.shape[1])


def affinity(scores: Tensor, top_k: int | None = None) -> Tensor:
    """Softmax over the memory, the last axis of (B, M, N); with `top_k` only the best keep weight."""
    if top_k is None or top_k >= scores.shape[-1]:
        return scores.softmax(-1)
    best, index = scores.topk(top_k, dim=-1)
    return torch.zeros_like(scores).scatter_(-1, index, best.softmax(-1))


def readout(memory_value: Tensor, weights: Tensor) -> Tensor:
    """memory_value (B, C, N), weights (B, M, N) -> (B, C, M)."""
    return memory_value @ weights.transpose(1, 2)


@dataclass(frozen=True)
class MemoryPolicy:
    """Which frames stay in memory.

    every: a frame is kept when its index is a multiple of this.
    keep_first: the annotated frame is never dropped.
    capacity: frames kept in all (first in, first out); None keeps everything.
    include_last: the previous frame is readable too, whether or not it is kept.
    """

    every: int = 5
    keep_first: bool = True
    capacity: int | None = None
    include_last: bool = False

    def __post_init__(self) -> None:
        if self.every < 1:
            raise MethodError(f"memory: frames are kept every {self.every} frames; give 1 or more")
        if self.capacity is not None and self.capacity < 1:
            raise MethodError(f"memory: a queue of length {self.capacity} holds nothing; give 1 or more")


class MemoryBank:
    """Keys (1, Ck, HW) and values (N, Cv, HW) of the remembered frames, for objects given together."""

    def __init__(self, policy: MemoryPolicy) -> None:
        self.policy = policy
        self._first: list[tuple[Tensor, Tensor]] = []
        queue_length = None if policy.capacity is None else policy.capacity - policy.keep_first
        self._queue: deque[tuple[Tensor, Tensor]] = deque(maxlen=queue_length)
        self._last: list[tuple[Tensor, Tensor]] = []
        self._joined: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        """Frames that a read sees."""
        return len(self._first) + len(self._queue) + len(self._last)

    def wants(self, frame_index: int) -> bool:
        """Whether `write` would use this frame, so that its value need not be computed otherwise."""
        kept = frame_index % self.policy.every == 0 and self._queue.maxlen != 0
        return frame_index == 0 or kept or self.policy.include_last

    def write(self, frame_index: int, key: Tensor, value: Tensor) -> None:
        """Remember frame `frame_index`, counted from the latest annotated one: key (1, Ck, HW), value (N, Cv, HW).

        The policy's first frame is the one that annotates these objects; later annotated ones (index 0 again)
        give other objects and are kept as any other.
        """
        self._joined = None
        self._last.clear()
        if frame_index == 0 and self.policy.keep_first and not self._first:
            self._first.append((key, value))
        elif frame_index % self.policy.every == 0:
            self._queue.append((key, value))
        else:
            self._last.append((key, value))

    def read(self, kept: list[int] | None = None) -> tuple[Tensor, Tensor]:
        """All keys (1, Ck, T HW) and values (N, Cv, T HW), joined once per write, or those `kept` of the T frames.

        In training the keys are those of B clips, (B, Ck, T HW).
        """
        if kept is not None:
            frames = [*self._first, *self._queue, *self._last]
            return _join([frames[k] for k in kept])
        if self._joined is None:
            self._joined = _join([*self._first, *self._queue, *self._last])
        return self._joined

    def state(self) -> dict[str, list[tuple[Tensor, Tensor]]]:
        """The remembered frames, for `load`."""
        return {"first": list(self._first), "queue": list(self._queue), "last": list(self._last)}

    def load(self, state: dict[str, list[tuple[Tensor, Tensor]]]) -> None:
        """Remember what a bank of the same policy did."""
        self._first, self._last, self._joined = list(state["first"]), list(state["last"]), None
        self._queue = deque(state["queue"], self._queue.maxlen)


def _join(frames: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    keys, values = zip(*frames, strict=True)
    return torch.cat(keys, 2), torch.cat(values, 2)


class VideoMemory:
    """A bank for each group of objects that one frame gives, since none knows the frames before its own.

    All write the same frames: an annotated frame is remembered for every object, and the count of frames
    starts anew from it (STCN's inference for YouTube-VOS).
    """

    def __init__(self, policy: MemoryPolicy) -> None:
        self.policy = policy
        self._banks: list[MemoryBank] = []
        self._objects: list[int] = []

    def add_objects(self, count: int) -> None:
        """Make room for `count` more objects; the next `write` must be of the frame that gives them."""
        self._banks.append(MemoryBank(self.policy))
        self._objects.append(count)

    def __len__(self) -> int:
        """Frames that a read sees, of the objects with the most."""
        return max(map(len, self._banks), default=0)

    def wants(self, frame_index: int) -> bool:
        """As `MemoryBank.wants`: the same for all."""
        return self._banks[0].wants(frame_index)

    def write(self, frame_index: int, key: Tensor, value: Tensor) -> None:
        """As `MemoryBank.write`, with the values of all objects in the order in which they were added."""
        for bank, own in zip(self._banks, value.split(self._objects), strict=True):
            bank.write(frame_index, key, own)

    def read(self) -> tuple[Tensor, ...]:
        """`MemoryBank.read` of every group, one after the other: key, value, key, value, ..."""
        return tuple(tensor for bank in self._banks for tensor in bank.read())

    def state(self) -> list[tuple[int, dict]]:
        """Of each group the number of objects and its bank's state, for `load`."""
        return [(count, bank.state()) for count, bank in zip(self._objects, self._banks, strict=True)]

    def load(self, state: list[tuple[int, dict]]) -> None:
        """Remember what a fresh memory of the same policy did."""
        for count, remembered in state:
            self.add_objects(count)
            self._banks[-1].load(remembered)
