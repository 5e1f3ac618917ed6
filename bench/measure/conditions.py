"""Under which conditions job=measure measures (the keys `measure.*`), and whether this machine allows them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import torch
from torch import nn

from bench.measure.protocols import PROTOCOLS
from bench.measure.scene import Scene
from bench.plan.keys import Measured
from bench.system.errors import ConfigError, first_line
from methods.interface import Method, Remembering

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
GPU_FRAMES = 70  # of a video: DAVIS 2016 val has 69 on average
CPU_FRAMES = 11  # two writes of a memory that keeps every 5th frame


@dataclass
class Conditions(Measured):
    """The keys `measure.*`, and what follows from them."""

    def scene(self, device: str, protocol: str = "core") -> Scene:
        """What a protocol segments."""
        usual = GPU_FRAMES if device.startswith("cuda") else CPU_FRAMES
        frames = usual if self.frames is None else self.frames
        objects = self.aot_objects if protocol == "aot" else self.objects
        return Scene(self.height, self.width, objects, self.memory_frames, frames, device)


def check(conditions: Conditions, device: str) -> None:
    """Raise ConfigError, in one line that names the key, for what is impossible in general or on this device."""
    for name in conditions.protocols:
        if name not in PROTOCOLS:
            raise ConfigError(f"measure.protocols: unknown protocol '{name}'; known: {', '.join(PROTOCOLS)}")
    if max(conditions.objects, conditions.aot_objects, *conditions.object_counts) >= conditions.width:
        raise ConfigError(f"measure.width={conditions.width}: too narrow, each object gets a stripe of the frame")
    precision, gpu = f"measure.precision={conditions.precision}", device.startswith("cuda")
    if conditions.precision not in PRECISIONS:
        raise ConfigError(f"{precision}: choose one of {', '.join(PRECISIONS)}")
    if conditions.precision == "bf16" and gpu:
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ConfigError(f"{precision} cannot work on {device}: this GPU has no bfloat16; choose fp16 or fp32")
    elif PRECISIONS[conditions.precision]:
        with _trying(precision, device, "choose fp32"), autocast(conditions, device):
            nn.Conv2d(3, 8, 3, device=device)(torch.ones(1, 3, 8, 8, device=device))
    if conditions.cuda_graphs and not gpu:
        raise ConfigError(f"measure.cuda_graphs=true cannot work on {device}: a GPU alone records its work")
    if conditions.compile:
        with _trying("measure.compile=true", device, "leave it out"):
            torch.compile(lambda x: 2 * x + 1)(torch.ones(8, device=device))


def prepare(method: Method, conditions: Conditions, device: str, compiled: bool = False) -> Method:
    """The same object on the device, ready for inference, in channels_last and (`compiled`) compiled if so set.

    Raises ConfigError where compilation is wanted of a network whose steps are not known. A compiled method
    must not be copied: its copies would run on the weights of the original.
    """
    if not isinstance(method, nn.Module):
        return method
    layout: dict[str, Any] = {"memory_format": torch.channels_last} if conditions.channels_last else {}
    method.to(device, **layout).eval().requires_grad_(False)
    if (conditions.compile or conditions.cuda_graphs) and compiled:
        if not isinstance(method, Remembering):
            raise ConfigError(f"measure.compile=true cannot compile a {type(method).__name__}: leave it out")
        faster = _recorded if conditions.cuda_graphs else torch.compile
        for name in method.compiled_parts:
            setattr(method, name, faster(getattr(method, name)))
    return method


def autocast(conditions: Conditions, device: str) -> AbstractContextManager:
    """The context in which networks run at the wanted precision."""
    dtype = PRECISIONS[conditions.precision]
    return torch.autocast(torch.device(device).type, dtype) if dtype else nullcontext()


def _recorded(function: Callable) -> Callable:
    """`function` compiled and recorded as CUDA graphs, whose next replay overwrites what the last one returned."""
    replay = torch.compile(function, mode="reduce-overhead")
    return lambda *inputs: _copy(replay(*inputs))


def _copy(results: Any) -> Any:
    """A tensor, a tuple of them or a dataclass of them."""
    if is_dataclass(results) and not isinstance(results, type):
        return replace(results, **{key: _copy(value) for key, value in vars(results).items()})
    return results.clone() if isinstance(results, torch.Tensor) else tuple(map(_copy, results))


@contextmanager
def _trying(key: str, device: str, advice: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # torch and its compilers raise errors of many kinds
        raise ConfigError(f"{key} cannot work on {device}: {first_line(error)}; {advice}") from None


def precision_name(method: Method, device: torch.device) -> str:
    """fp32, tf32, bf16 or fp16, by torch's autocast or else the weights; fp32 for a method without any."""
    dtype = torch.float32
    if isinstance(method, nn.Module):
        weights, autocasts = next(method.parameters()).dtype, torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if autocasts else weights
    if dtype == torch.float32:
        # By default torch lets a GPU convolve fp32 tensors in TF32, which is faster and coarser.
        return "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "fp32"
    return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(dtype, str(dtype).removeprefix("torch."))
