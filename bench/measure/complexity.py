"""Parameters and multiply-adds of a method, by three counters that check each other.

One multiply-add is 1 MAC; a GMAC is 1e9 of them. A frame costs what it costs in steady state: encode the
query, read a memory of a given number of frames, decode, and encode the frame for the memory as often as
frames are written: the steps of `methods.steps`. torch's counter sees convolutions and matrix products only;
fvcore adds normalisation (2 or 5 an element) and bilinear upsampling (4), thop normalisation (4) and average
pooling, as if these were multiply-adds. What no counter sees is in `reports.measure.explanations`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from fvcore.nn import FlopCountAnalysis
from thop import profile
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bench.measure.scene import Scene, frame_steps, frames_read, frozen_copy, started_copy
from methods.interface import Method, Remembering, Stepped
from methods.outside import MaskFolder
from methods.steps import WRITE, Step


@dataclass(frozen=True)
class ParameterCount:
    """How many numbers a network holds: parameters, each once, and apart from them its buffers.

    trainable: parameters that need a gradient. modules: parameters of each top-level module, by its name; those
    that the network holds itself are "(own)". A parameter that two modules share counts in the first.
    buffers: numbers that are saved but not learnt, as the statistics of batch normalisation.
    """

    total: int
    trainable: int
    modules: dict[str, int]
    buffers: int


def parameter_count(module: nn.Module) -> ParameterCount:
    """Parameters of the network and of its top-level modules; its buffers apart."""
    modules = {name: 0 for name, _ in module.named_children()}
    for name, parameter in module.named_parameters():  # each once
        top = name.partition(".")[0] if "." in name else "(own)"
        modules[top] = modules.get(top, 0) + parameter.numel()
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    buffers = sum(buffer.numel() for buffer in module.buffers())
    return ParameterCount(parameters(module), trainable, modules, buffers)


@dataclass(frozen=True)
class Complexity:
    """Cost of a method at one frame size, in steady state.

    params_m: millions of parameters, trainable and frozen.
    gmacs: GMACs a frame by torch's counter; gmacs_fvcore, gmacs_thop: the same by the other two.
    memory_frames: frames in the memory that is read (of DeAOT: the long-term one).
    stages: GMACs by torch's counter of each of `methods.steps.STEPS`; of memory_encode, which is one write,
    `gmacs` holds the share `writes_per_frame` that falls on a frame.
    counters: the steps by each of the three counters: "torch" (= `stages`), "fvcore", "thop".
    """

    params_m: float
    gmacs: float
    gmacs_fvcore: float
    gmacs_thop: float
    memory_frames: int
    writes_per_frame: float
    stages: dict[str, float]
    counters: dict[str, dict[str, float]]


def parameters(module: nn.Module) -> int:
    """How many parameters, trainable and frozen, each once; buffers are not counted."""
    return sum(parameter.numel() for parameter in module.parameters())


def method_parameters(method: object) -> int | None:
    """Parameters of a method, of one that is no network those of its attributes; None for a folder of masks."""
    return None if isinstance(method, MaskFolder) else parameters(networks(method))


def networks(method: object) -> nn.ModuleList:
    """The method itself where it is a network, else those that it holds as attributes."""
    held = [method] if isinstance(method, nn.Module) else getattr(method, "__dict__", {}).values()
    return nn.ModuleList(module for module in held if isinstance(module, nn.Module))


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


def frame_gmacs(
    method: Stepped, scene: Scene, objects: Sequence[int] = (1, 2, 3), memory_frames: Sequence[int] = (1, 2, 4, 8)
) -> list[dict[str, float]]:
    """`Complexity.gmacs` as a function of objects and memory frames, by torch's counter.

    A row {"objects", "memory_frames", "gmacs"} for each pair; frames that do not fit in the memory are left out,
    and without a memory there are none.
    """
    meta, fitting = frozen_copy(method, "meta"), [0]
    if isinstance(method, Remembering):
        capacity = method.policy.capacity
        fitting = [frames for frames in memory_frames if capacity is None or frames <= capacity]
    table = []
    for count in objects:
        found = [meta.frame_steps(scene.height, scene.width, count, frames) for frames in (1, 2)]
        one, two = (_of_a_frame(_gmacs(gmacs_torch, each), each) for each in found)
        # The memory is read by products with the positions of all its frames: each costs the same.
        table += [
            {"objects": count, "memory_frames": frames, "gmacs": one + (frames - 1) * (two - one)}
            for frames in fitting
        ]
    return table


def complexity(method: Stepped, scene: Scene) -> Complexity:
    """Measure the cost of one frame of the scene.

    torch's counter and thop run on shapes alone; fvcore has to compute the frame, on the method's device. The
    method is left as it was.
    """
    real, meta = frame_steps(frozen_copy(method), scene), frame_steps(frozen_copy(method, "meta"), scene)
    counting = {"torch": (gmacs_torch, meta), "fvcore": (gmacs_fvcore, real), "thop": (gmacs_thop, meta)}
    counters = {name: _gmacs(count, found) for name, (count, found) in counting.items()}
    totals = {name: _of_a_frame(gmacs, meta) for name, gmacs in counters.items()}
    return Complexity(
        params_m=parameters(networks(method)) / 1e6,
        gmacs=totals["torch"],
        gmacs_fvcore=totals["fvcore"],
        gmacs_thop=totals["thop"],
        memory_frames=frames_read(method, scene.memory_frames),
        writes_per_frame=sum(step.per_frame for step in meta if step.name == WRITE),
        stages=counters["torch"],
        counters=counters,
    )


@torch.no_grad()
def step_gmacs(method: Method, scene: Scene) -> float | None:
    """GMACs of one `step` right after `start`, by torch's counter; None where it saw none.

    For methods whose steps are not known: whatever torch computes is counted, what other libraries do is not.
    """
    method, frame = started_copy(method, scene)
    networks(method).requires_grad_(False)  # the counter wants gradients of what has some
    with sdpa_kernel(SDPBackend.MATH):  # attention as matrix products; a CPU's fused kernel is not counted
        return gmacs_torch(method.step, frame) or None


@torch.no_grad()
def _gmacs(count: Callable[..., float], found: list[Step]) -> dict[str, float]:
    """`Complexity.stages` by one counter."""
    return {step.name: count(step.module, *step.inputs.values()) for step in found}


def _of_a_frame(gmacs: dict[str, float], found: list[Step]) -> float:
    """Each step as often as a frame needs it."""
    return sum(gmacs[step.name] * step.per_frame for step in found)
