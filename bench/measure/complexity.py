"""Parameters and multiply-adds of a method, by three counters that check each other.

One multiply-add is 1 MAC; a GMAC is 1e9 of them. A frame costs what it costs in steady state: encode the
query, read a memory of a given number of frames, decode, and encode the frame for the memory as often as
frames are written. torch's counter sees convolutions and matrix products only; fvcore adds batch
normalisation (2 an element) and bilinear upsampling (4), thop batch normalisation (4) and average pooling, as
if these were multiply-adds. No counter sees top-k, softmax as a function, or the norms of the keys.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from fvcore.nn import FlopCountAnalysis
from thop import profile
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.errors import ConfigError
from methods.interface import Method
from methods.masks import pad_to_multiple
from methods.memory import MemoryBank, MemoryPolicy, affinity, readout, similarity
from methods.space_time import SpaceTimeMethod

# With every 5th frame kept, a frame of DAVIS 2016 val finds 8.0 in memory (mean over all but the first ones).
UNBOUNDED_MEMORY_FRAMES = 8


@dataclass(frozen=True)
class Complexity:
    """Cost of a method at one frame size, in steady state.

    params_m: millions of parameters, trainable and frozen.
    gmacs: GMACs a frame by torch's counter; gmacs_fvcore, gmacs_thop: the same by the other two.
    memory_frames: frames in the memory that is read.
    stages: GMACs by torch's counter of query_encode, memory_read (similarity and readout), decode and
    memory_encode; the last is one write, of which `gmacs` holds the share that falls on a frame.
    counters: the stages by each of the three counters: "torch" (= `stages`), "fvcore", "thop".
    """

    params_m: float
    gmacs: float
    gmacs_fvcore: float
    gmacs_thop: float
    memory_frames: int
    stages: dict[str, float]
    counters: dict[str, dict[str, float]]


class EncodeQuery(nn.Module):
    """`SpaceTimeMethod.encode_query` as a module that returns all it computes, so that no counter drops a part."""

    def __init__(self, method: SpaceTimeMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        query = self.method.encode_query(frame)
        return query.key16, query.context16, query.f16, query.f8, query.f4


class ReadMemory(nn.Module):
    """Similarity and readout: query key (1, Ck, M), memory key (1, Ck, N) and value (O, Cv, N) -> (O, Cv, M)."""

    def __init__(self, top_k: int | None) -> None:
        super().__init__()
        self.top_k = top_k

    def forward(self, query_key: Tensor, memory_key: Tensor, memory_value: Tensor) -> Tensor:
        return readout(memory_value, affinity(similarity(memory_key, query_key), self.top_k))


class ReadFrame(nn.Module):
    """Segments a normalised frame (1, 3, H, W) from memory (1, Ck, N), (O, Cv, N): what every frame costs."""

    def __init__(self, method: SpaceTimeMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, frame: Tensor, memory_key: Tensor, memory_value: Tensor) -> Tensor:
        return self.method.segment(self.method.encode_query(frame), memory_key, memory_value)


class WriteFrame(nn.Module):
    """`SpaceTimeMethod.encode_memory` as a module of its own: what every written frame costs."""

    def __init__(self, method: SpaceTimeMethod) -> None:
        super().__init__()
        self.method = method

    def forward(self, frames: Tensor, f16: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        return self.method.encode_memory(frames, f16, masks, others)


def parameters(module: nn.Module) -> int:
    """How many parameters, trainable and frozen, each once; buffers are not counted."""
    return sum(parameter.numel() for parameter in module.parameters())


def gmacs_torch(compute: Callable, *inputs: Tensor) -> float:
    """GMACs of `compute(*inputs)` by torch.utils.flop_counter (2 FLOPs a multiply-add); also on meta."""
    with FlopCounterMode(display=False) as counter:
        compute(*inputs)
    return counter.get_total_flops() / 2e9


def gmacs_fvcore(module: nn.Module, *inputs: Tensor) -> float:
    """GMACs by fvcore, which traces: not on meta, and what no output depends on is not counted."""
    return fvcore_analysis(module, *inputs).total() / 1e9


def fvcore_analysis(module: nn.Module, *inputs: Tensor) -> FlopCountAnalysis:
    """fvcore's analysis of `module(*inputs)`, without its warnings."""
    analysis = FlopCountAnalysis(module, inputs)
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")


def gmacs_thop(module: nn.Module, *inputs: Tensor) -> float:
    """GMACs by thop, which hooks the modules (give it a copy) and the matrix products; also on meta."""
    return profile(module, inputs, verbose=False)[0] / 1e9


def steady_memory_frames(policy: MemoryPolicy, memory_frames: int | None = None) -> int:
    """Frames in memory once a video has run for a while: the capacity, or 8 when it is unbounded.

    `memory_frames` overrides. Raises ConfigError when the memory cannot hold that many, or for less than 1.
    """
    if memory_frames is None:
        return policy.capacity or UNBOUNDED_MEMORY_FRAMES
    if memory_frames < 1:
        raise ConfigError(f"memory_frames={memory_frames}: give 1 or more, the annotated frame is there")
    if policy.capacity is not None and memory_frames > policy.capacity:
        raise ConfigError(f"memory_frames={memory_frames} do not fit in a memory of {policy.capacity} frames")
    return memory_frames


def writes_per_frame(policy: MemoryPolicy) -> float:
    """Which share of the frames is encoded for the memory."""
    bank = MemoryBank(policy)
    return sum(bank.wants(index) for index in range(1, policy.every + 1)) / policy.every


@torch.no_grad()
def stage_gmacs(
    method: SpaceTimeMethod,
    height: int = 480,
    width: int = 864,
    objects: int = 1,
    memory_frames: int | None = None,
) -> dict[str, float]:
    """`Complexity.stages` alone: fast, because torch's counter needs shapes only."""
    meta = _frozen_copy(method).to("meta")
    inputs = _inputs(meta, height, width, objects, steady_memory_frames(method.policy, memory_frames))
    return _stages(gmacs_torch, meta, *inputs)


def frame_gmacs(
    method: SpaceTimeMethod,
    height: int = 480,
    width: int = 864,
    objects: Sequence[int] = (1, 2, 3),
    memory_frames: Sequence[int] = (1, 2, 4, 8),
) -> list[dict[str, float]]:
    """`Complexity.gmacs` as a function of objects and memory frames, by torch's counter.

    A row {"objects", "memory_frames", "gmacs"} for each pair; frames that do not fit in the memory are left out.
    """
    capacity, share = method.policy.capacity, writes_per_frame(method.policy)
    fitting = [count for count in memory_frames if capacity is None or count <= capacity]
    table = []
    for count in objects:
        stages = stage_gmacs(method, height, width, count, memory_frames=1)
        for (
            frames
        ) in fitting:  # similarity and readout are products with the positions of all frames in memory
            read = stages | {"memory_read": frames * stages["memory_read"]}
            table.append({"objects": count, "memory_frames": frames, "gmacs": _frame(read, share)})
    return table


@torch.no_grad()
def complexity(
    method: Method, height: int = 480, width: int = 864, objects: int = 1, memory_frames: int | None = None
) -> Complexity | None:
    """Measure the cost of one frame of `height` x `width` with `objects` objects.

    `memory_frames` defaults to the memory's capacity, or to 8 when it is unbounded. torch's counter and thop
    run on shapes alone; fvcore has to compute the frame once, on the method's device. The method is left as
    it was. Returns None for a method that is no network.

    Raises ConfigError for an impossible `memory_frames` or `objects`, TypeError for a network whose stages
    are not known.
    """
    if not isinstance(method, nn.Module):
        return None
    if not isinstance(method, SpaceTimeMethod):
        raise TypeError(
            f"complexity() knows a SpaceTimeMethod's stages, not those of a {type(method).__name__}"
        )
    frames = steady_memory_frames(method.policy, memory_frames)
    (real, zeros), (meta, shapes) = stage_inputs(method, height, width, objects, frames)
    counters = {
        "torch": _stages(gmacs_torch, meta, *shapes),
        "fvcore": _stages(gmacs_fvcore, real, *zeros),
        "thop": _stages(gmacs_thop, meta, *shapes),
    }
    share = writes_per_frame(method.policy)
    totals = {name: _frame(stages, share) for name, stages in counters.items()}
    return Complexity(
        params_m=parameters(method) / 1e6,
        gmacs=totals["torch"],
        gmacs_fvcore=totals["fvcore"],
        gmacs_thop=totals["thop"],
        memory_frames=frames,
        stages=counters["torch"],
        counters=counters,
    )


def stage_inputs(
    method: SpaceTimeMethod, height: int, width: int, objects: int, memory_frames: int | None
) -> tuple[tuple[SpaceTimeMethod, list[tuple[Tensor, ...]]], ...]:
    """Two copies of the method, on its device and on meta, each with the arguments of `ReadFrame` and `WriteFrame`.

    All inputs are zeros. Raises ConfigError for an impossible `memory_frames` or `objects`.
    """
    frames = steady_memory_frames(method.policy, memory_frames)
    real, meta = _frozen_copy(method), _frozen_copy(method).to("meta")
    shapes = _inputs(meta, height, width, objects, frames)
    device = next(real.parameters()).device
    zeros = [tuple(torch.zeros_like(x, device=device) for x in inputs) for inputs in shapes]
    return (real, zeros), (meta, list(shapes))


def _stages(
    count: Callable[..., float],
    method: SpaceTimeMethod,
    read: tuple[Tensor, ...],
    write: tuple[Tensor, ...],
) -> dict[str, float]:
    """`Complexity.stages` by one counter, for inputs on the method's device."""
    frame, key, value = read
    query_key = method.encode_query(frame).key16.flatten(2)
    encode = count(EncodeQuery(method), frame)
    match = count(ReadMemory(method.top_k), query_key, key, value)
    return {
        "query_encode": encode,
        "memory_read": match,
        # The rest of what a frame costs, so that the stages add up however `segment` calls the decoder.
        "decode": count(ReadFrame(method), *read) - encode - match,
        "memory_encode": count(WriteFrame(method), *write),
    }


def _frame(stages: dict[str, float], share: float) -> float:
    """GMACs of a frame of which `share` is written to the memory."""
    return sum(stages.values()) - (1 - share) * stages["memory_encode"]


def _frozen_copy(method: SpaceTimeMethod) -> SpaceTimeMethod:
    return copy.deepcopy(method).eval().requires_grad_(False)


def _inputs(
    meta: SpaceTimeMethod, height: int, width: int, objects: int, memory_frames: int
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Arguments of `ReadFrame` and of `WriteFrame`, without data, for a method on the meta device."""
    if objects < 1:
        raise ConfigError(f"objects={objects}: give 1 or more")
    frame, _ = pad_to_multiple(torch.zeros(1, 3, height, width, device="meta"), meta.stride)
    query = meta.encode_query(frame)
    masks = frame.new_zeros(objects, *frame.shape[-2:])
    write = (frame.repeat(objects, 1, 1, 1), query.f16.repeat(objects, 1, 1, 1), masks, masks)
    value = meta.encode_memory(*write).flatten(2)
    read = (frame, query.key16.flatten(2).repeat(1, 1, memory_frames), value.repeat(1, 1, memory_frames))
    return read, write
