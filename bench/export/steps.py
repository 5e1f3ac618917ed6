"""A method's `start` and `step` as functions of tensors alone, of fixed shapes, as exporters need them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.errors import ConfigError
from methods.interface import Method, one_hot_objects
from methods.masks import normalize, others, pad_to_multiple, soft_aggregate, unpad
from methods.space_time import Query, SpaceTimeMethod

# The key of an empty slot is so far from any other that its weight after the softmax is exactly 0.
EMPTY_KEY = 1e4


@dataclass(frozen=True)
class Program:
    """One function of an exported method: the names of its tensors and an example of its inputs."""

    name: str
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]


class StaticSteps(nn.Module):
    """Inference of a method with a finite memory, for frames of one size and `objects` objects with ids 1, 2, ...

    The memory is two tensors: key (1, Ck, T h w) and value (objects, Cv, T h w) of its T = `queue_length`
    frames, oldest first, after the annotated one where the policy keeps that. frame float (3, H, W) RGB in
    [0, 1], any H and W; mask int64 (H, W) that holds every id. Equal to `method.start` and `method.step`.

    Raises ConfigError for a method whose memory does not fit into tensors of fixed shapes.
    """

    def __init__(self, method: Method, height: int, width: int, objects: int) -> None:
        super().__init__()
        if not isinstance(method, SpaceTimeMethod):
            raise ConfigError(f"{type(method).__name__} cannot be exported: it is no network with a memory")
        if method.policy.capacity is None:
            raise ConfigError(
                f"{type(method).__name__} cannot be exported: its memory is unbounded and files have fixed "
                "shapes; take a MobileVOS student, with options.queue_length=2, say"
            )
        if method.policy.include_last:
            raise ConfigError("a memory that holds the last frame besides its queue cannot be exported")
        if min(height, objects) < 1 or width <= objects:
            raise ConfigError(
                f"export.height={height}, export.width={width}, export.objects={objects}: give 1 or more of "
                "each, and fewer objects than columns"
            )
        self.method = method.eval().requires_grad_(False)
        self.size, self.objects = (height, width), objects

    @property
    def memory_every(self) -> int | None:
        """`step` is for every so many frames, `segment` for those between; None: never for any frame."""
        policy = self.method.policy
        return None if self._queue_length == 0 else policy.every

    def start(self, frame: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The annotated frame -> memory key and value."""
        padded, query, _ = self._look(frame)
        planes, _ = pad_to_multiple(one_hot_objects(mask, list(range(1, self.objects + 1))))
        key, value = self._encode(padded, query, soft_aggregate(planes).softmax(0)[1:])
        empty = self.method.policy.capacity - 1
        no_key = torch.full_like(key, EMPTY_KEY).repeat(1, 1, empty)
        no_value = torch.zeros_like(value).repeat(1, 1, empty)
        if self.method.policy.keep_first:
            return torch.cat([key, no_key], 2), torch.cat([value, no_value], 2)
        return torch.cat([no_key, key], 2), torch.cat([no_value, value], 2)

    def step(self, frame: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next frame -> probabilities (objects + 1, H, W), background first, and the memory with it."""
        padded, query, padding = self._look(frame)
        probabilities = self.method.segment(query, key, value)
        new_key, new_value = self._encode(padded, query, probabilities[1:])
        key, value = self._append(key, new_key), self._append(value, new_value)
        return unpad(probabilities, padding), key, value

    def segment(self, frame: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """As `step`, for a frame that is not remembered."""
        _, query, padding = self._look(frame)
        return unpad(self.method.segment(query, key, value), padding)

    @torch.no_grad()
    def programs(self) -> list[Program]:
        """What a caller needs: `start`, `step` if frames are remembered, `segment` if some are not."""
        frame = torch.rand(3, *self.size, generator=torch.Generator().manual_seed(0))
        mask = (
            (torch.arange(self.size[1]) * (self.objects + 1) // self.size[1]).expand(self.size).contiguous()
        )
        key, value = self.start(frame, mask)
        memory = {"frame": frame, "key": key, "value": value}
        found = [Program("start", {"frame": frame, "mask": mask}, ("key", "value"))]
        if self.memory_every is not None:
            found.append(Program("step", memory, ("probabilities", "next_key", "next_value")))
        if self.memory_every != 1:
            found.append(Program("segment", memory, ("probabilities",)))
        return found

    @property
    def _queue_length(self) -> int:
        """Slots for frames other than the annotated one."""
        return self.method.policy.capacity - self.method.policy.keep_first

    def _look(self, frame: Tensor) -> tuple[Tensor, Query, tuple[int, int, int, int]]:
        padded, padding = pad_to_multiple(normalize(frame)[None], self.method.stride)
        return padded, self.method.encode_query(padded), padding

    def _encode(self, padded: Tensor, query: Query, masks: Tensor) -> tuple[Tensor, Tensor]:
        """A normalised frame (1, 3, H, W) with its object probabilities (objects, H, W) -> key and value."""
        frames, f16 = (x.expand(self.objects, -1, -1, -1) for x in (padded, query.f16))
        value = self.method.encode_memory(frames, f16, masks, others(masks))
        return query.key16.flatten(2), value.flatten(2)

    def _append(self, slots: Tensor, new: Tensor) -> Tensor:
        """`new` (.., h w) as the last of the slots (.., T h w), without the oldest that may go."""
        hw = new.shape[2]
        if self.method.policy.keep_first:
            return torch.cat([slots[:, :, :hw], slots[:, :, 2 * hw :], new], 2)
        return torch.cat([slots[:, :, hw:], new], 2)


class Function(nn.Module):
    """One function of `StaticSteps` as the `forward` that exporters ask for."""

    def __init__(self, steps: StaticSteps, name: str) -> None:
        super().__init__()
        self.steps, self.name = steps, name

    def forward(self, *inputs: Tensor):
        return getattr(self.steps, self.name)(*inputs)
