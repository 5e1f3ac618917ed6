"""How job=measure measures (the keys `measure.*`), and whether this machine can do so."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, fields, is_dataclass

import torch
from torch import nn

from bench.measure.protocols import PROTOCOLS, Scene
from bench.system.errors import ConfigError
from methods.interface import Method, Remembering

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
GPU_FRAMES = 70  # of a video: DAVIS 2016 val has 69 on average
CPU_FRAMES = 11  # two writes of a memory that keeps every 5th frame


@dataclass
class Settings:
    """The keys `measure.*`; bench/configs/job/measure.yaml says what each means."""

    protocols: list[str]
    height: int
    width: int
    objects: int
    aot_objects: int
    memory_frames: int | None
    frames: int | None
    max_seconds: float
    lengths: list[int]
    object_counts: list[int]
    precision: str
    channels_last: bool
    compile: bool
    cuda_graphs: bool
    threads: int | None

    def scene(self, device: str, protocol: str = "core") -> Scene:
        """What a protocol segments."""
        default = GPU_FRAMES if device.startswith("cuda") else CPU_FRAMES
        return Scene(
            height=self.height,
            width=self.width,
            objects=self.aot_objects if protocol == "aot" else self.objects,
            frames=default if self.frames is None else self.frames,
            memory_frames=self.memory_frames,
            device=device,
        )


def check(settings: Settings, device: str) -> None:
    """Raise ConfigError, in one line that names the key, for what is impossible in general or on this device."""
    for name in settings.protocols:
        if name not in PROTOCOLS:
            raise ConfigError(f"measure.protocols: unknown protocol '{name}'; known: {', '.join(PROTOCOLS)}")
    for key in ("height", "width", "objects", "aot_objects"):
        if getattr(settings, key) < 1:
            raise ConfigError(f"measure.{key}={getattr(settings, key)}: give 1 or more")
    for key in ("lengths", "object_counts"):
        if min(getattr(settings, key), default=1) < 1:
            raise ConfigError(f"measure.{key}={getattr(settings, key)}: give numbers of 1 or more")
    if max(settings.objects, settings.aot_objects, *settings.object_counts) >= settings.width:
        raise ConfigError(
            f"measure.width={settings.width}: too narrow, each object gets a stripe of the frame"
        )
    if settings.frames is not None and settings.frames < 2:
        raise ConfigError(f"measure.frames={settings.frames}: give 2 or more, the first is the annotated one")
    if settings.threads is not None and settings.threads < 1:
        raise ConfigError(
            f"measure.threads={settings.threads}: give 1 or more, or null for torch's own choice"
        )
    if settings.precision not in PRECISIONS:
        raise ConfigError(f"measure.precision={settings.precision}: choose one of {', '.join(PRECISIONS)}")
    _check_precision(settings, device)
    if settings.cuda_graphs and not device.startswith("cuda"):
        raise ConfigError(f"measure.cuda_graphs=true cannot work on {device}: a GPU alone records its work")
    if settings.compile:
        one = torch.ones(8, device=device)
        _try("measure.compile=true", device, "leave it out", lambda: torch.compile(lambda x: 2 * x + 1)(one))


def prepare(method: Method, settings: Settings, device: str, compiled: bool = False) -> Method:
    """The same object on the device, ready for inference, in channels_last and (`compiled`) compiled if so set.

    Raises ConfigError where compilation is wanted of a network whose steps are not known. A compiled method
    must not be copied: its copies would run on the weights of the original.
    """
    if not isinstance(method, nn.Module):
        return method
    method = method.to(device).eval().requires_grad_(False)
    if settings.channels_last:
        method = method.to(memory_format=torch.channels_last)
    if (settings.compile or settings.cuda_graphs) and compiled:
        if not isinstance(method, Remembering):
            raise ConfigError(f"measure.compile=true cannot compile a {type(method).__name__}: leave it out")
        faster = _recorded if settings.cuda_graphs else torch.compile
        for name in method.compiled_parts:
            setattr(method, name, faster(getattr(method, name)))
    return method


def autocast(settings: Settings, device: str):
    """The context in which networks run at the wanted precision."""
    dtype = PRECISIONS[settings.precision]
    return torch.autocast(torch.device(device).type, dtype) if dtype else nullcontext()


def _recorded(function: Callable) -> Callable:
    """`function` compiled and recorded as CUDA graphs, whose next replay overwrites what the last one returned."""
    replay = torch.compile(function, mode="reduce-overhead")
    return lambda *inputs: _copy(replay(*inputs))


def _copy(results):
    """A tensor, a tuple of them or a dataclass of them."""
    if isinstance(results, torch.Tensor):
        return results.clone()
    if is_dataclass(results):
        return type(results)(*(_copy(getattr(results, field.name)) for field in fields(results)))
    return tuple(map(_copy, results))


def _check_precision(settings: Settings, device: str) -> None:
    key = f"measure.precision={settings.precision}"
    if PRECISIONS[settings.precision] is None:
        return
    if settings.precision == "bf16" and device.startswith("cuda"):
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ConfigError(f"{key} cannot work on {device}: this GPU has no bfloat16; choose fp16 or fp32")
    else:
        conv = nn.Conv2d(3, 8, 3).to(device)

        @torch.no_grad()
        def compute() -> None:
            with autocast(settings, device):
                conv(torch.ones(1, 3, 8, 8, device=device))

        _try(key, device, "choose fp32", compute)


def _try(key: str, device: str, advice: str, work: Callable[[], object]) -> None:
    try:
        work()
    except Exception as error:  # torch and its compilers raise errors of many kinds
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ConfigError(f"{key} cannot work on {device}: {reason.strip()}; {advice}") from None
