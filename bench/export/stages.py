"""The stages of a frame as functions of tensors alone, for runtimes that time them one by one.

Each stage takes and gives tensors of at most 4 dimensions, and every softmax is over the last one: what
mobile runtimes do quickly. A frame costs the sum of its stages, each times how often a frame needs it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from bench.errors import ConfigError
from bench.export.steps import Program
from bench.measure.complexity import steady_memory_frames, writes_per_frame
from methods.interface import Method, one_hot_objects
from methods.masks import normalize, others, pad_to_multiple
from methods.memory import affinity, readout, similarity
from methods.space_time import Query, SpaceTimeMethod


@dataclass(frozen=True)
class Stage:
    """A function of tensors: `module` takes those of `inputs` (an example, in order) and gives `outputs`.

    per_frame: how often a frame needs it, on average.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    per_frame: float = 1.0

    @property
    def program(self) -> Program:
        return Program(self.name, self.inputs, self.outputs)


def stages(
    method: Method, height: int, width: int, objects: int, memory_frames: int | None = None
) -> list[Stage]:
    """The stages of a frame of this size, in their order, with the memory as full as it stays in a long video.

    memory_frames: read by a frame; None: the memory's capacity, 8 without one. Raises ConfigError for a method
    whose stages are not known, and for an impossible size or memory.
    """
    if min(height, objects) < 1 or width <= objects:
        raise ConfigError(
            f"{height}x{width} with {objects} objects: give 1 or more of each, and fewer than columns"
        )
    for family, split in FAMILIES.items():
        if isinstance(method, family):
            return split(method, height, width, objects, memory_frames)
    raise ConfigError(f"{type(method).__name__} cannot be measured on a phone: its stages are not known")


@torch.no_grad()
def space_time_stages(
    method: SpaceTimeMethod, height: int, width: int, objects: int, memory_frames: int | None = None
) -> list[Stage]:
    """query_encode, read_decode and memory_encode of a matching network with a memory."""
    method, count = method.eval().requires_grad_(False), steady_memory_frames(method.policy, memory_frames)
    noise = torch.Generator().manual_seed(0)
    frame = torch.rand(1, 3, height, width, generator=noise)
    encode = Stage("query_encode", QueryEncode(method), {"frame": frame}, ("padded", *QUERY))
    padded, *query = encode.module(frame)
    stripes = torch.arange(width) * (objects + 1) // width
    masks, _ = pad_to_multiple(one_hot_objects(stripes.expand(height, width), list(range(1, objects + 1))))
    probabilities = torch.cat([1 - masks.sum(0, keepdim=True), masks])
    written = {"padded": padded, "f16": query[QUERY.index("f16")], "probabilities": probabilities}
    write = MemoryEncode(method)
    value = write(*written.values())
    memory = {
        name: _noisy_copies(x.flatten(2), count, noise)
        for name, x in (("memory_key", query[0]), ("memory_value", value))
    }
    read = {**dict(zip(QUERY, query, strict=True)), **memory}
    return [
        encode,
        Stage("read_decode", ReadDecode(method), read, ("probabilities",)),
        Stage("memory_encode", write, written, ("value",), writes_per_frame(method.policy)),
    ]


QUERY = tuple(Query.__dataclass_fields__)
FAMILIES: dict[type, Callable[..., list[Stage]]] = {SpaceTimeMethod: space_time_stages}


class QueryEncode(nn.Module):
    """frame (1, 3, H, W) RGB in [0, 1] -> it normalised and padded to multiples of 16, and its features."""

    def __init__(self, method: SpaceTimeMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        padded, _ = pad_to_multiple(normalize(frame), self.method.stride)
        query = self.method.encode_query(padded)
        return padded, *(getattr(query, name) for name in QUERY)


class ReadDecode(nn.Module):
    """Features of a frame and a memory (1, Ck, T h w), (objects, Cv, T h w) -> probabilities (objects + 1, H, W).

    As `SpaceTimeMethod.segment`; H and W are padded.
    """

    def __init__(self, method: SpaceTimeMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, *tensors: Tensor) -> Tensor:
        query, (key, value) = Query(*tensors[:-2]), tensors[-2:]
        weights = affinity(similarity(key, query.key16.flatten(2)), self.method.top_k)
        read = readout(value, weights).unflatten(2, query.key16.shape[-2:])
        logits, _ = self.method.decode(read, query)
        return aggregate(logits.sigmoid())


class MemoryEncode(nn.Module):
    """The frame as `QueryEncode` gave it, its f16 and its probabilities (objects + 1, H, W) -> the memory's value.

    Its key is the query's.
    """

    def __init__(self, method: SpaceTimeMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, padded: Tensor, f16: Tensor, probabilities: Tensor) -> Tensor:
        masks = probabilities[1:]
        frames, f16 = (x.expand(len(masks), -1, -1, -1) for x in (padded, f16))
        return self.method.encode_memory(frames, f16, masks, others(masks))


def aggregate(objects: Tensor) -> Tensor:
    """`soft_aggregate` and its softmax: (N, H, W) -> (N + 1, H, W). The softmax of log-odds is the odds' share,
    which spares runtimes a softmax over the first dimension."""
    background = reduce(torch.mul, (1 - objects).split(1))
    p = torch.cat([background, objects]).clamp(1e-7, 1 - 1e-7)
    odds = p / (1 - p)
    return odds / odds.sum(0, keepdim=True)


def _noisy_copies(x: Tensor, count: int, noise: torch.Generator) -> Tensor:
    """(.., h w) -> (.., count h w), which differ by a tenth of their spread."""
    copies = x.repeat(1, 1, count)
    return copies + 0.1 * x.std() * torch.randn(copies.shape, generator=noise)
