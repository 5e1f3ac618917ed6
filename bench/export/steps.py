"""A method's `start` and `step` as functions of tensors alone, of fixed shapes, as exporters need them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bench.measure.scene import Scene, frame_steps
from bench.system.errors import ConfigError
from methods.deaot.method import DeAOT
from methods.deaot.steps import FEATURES, MemoryEncode, memory_names
from methods.interface import Method, Remembering, one_hot_objects
from methods.masks import pad_to_multiple, soft_aggregate, unpad
from methods.space_time import SpaceTimeMethod
from methods.steps import Step, stripes

# The key of an empty slot is so far from any other that its weight after the softmax is exactly 0.
EMPTY_KEY = 1e4


def remembering(method: Method) -> Remembering:
    """The same, with its type. Raises ConfigError for a method without a memory and known steps."""
    if not isinstance(method, Remembering):
        raise ConfigError(f"{type(method).__name__} cannot be exported: it is no network with a memory")
    return method


def example_steps(method: Method, scene: Scene) -> list[Step]:
    """As `bench.measure.scene.frame_steps`, with examples laid out as files hold them; the method is frozen by it.

    Raises ConfigError for a method whose steps are not known, and for an impossible size or memory.
    """
    known = remembering(method)
    if isinstance(known, nn.Module):
        known.eval().requires_grad_(False)
    found = frame_steps(known, scene)
    return [replace(step, inputs={k: x.contiguous() for k, x in step.inputs.items()}) for step in found]


@dataclass(frozen=True)
class Program:
    """One function of an exported method: the names of its tensors and an example of its inputs."""

    name: str
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]


class StaticSteps(nn.Module, ABC):
    """Inference of a method with a finite memory, for frames of one size and `objects` objects with ids 1, 2, ...

    The memory is the tensors that `memory` names, of which `start` gives those of `started`; a frame that is
    remembered changes those of `changed`.
    frame float (3, H, W) RGB in [0, 1], any H and W; mask int64 (H, W) that holds every id. Equal to
    `method.start` and `method.step`.
    """

    started: tuple[str, ...]
    memory: tuple[str, ...]
    changed: tuple[str, ...]
    memory_frames: int  # that the memory holds
    remembers_labels = False  # which object each pixel is most likely of, instead of how likely
    memory_every: int | None  # `step` is for every so many frames, `segment` for the others; None: all others

    def __init__(self, method: Remembering, height: int, width: int, objects: int) -> None:
        super().__init__()
        self.method, self.size, self.objects = method, (height, width), objects
        self._encode, self._read, self._decode, self._write = example_steps(method, Scene(height, width, objects))

    @abstractmethod
    def start(self, frame: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """The annotated frame -> the memory that `started` names."""

    def begun(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What `start` gives -> the whole memory."""
        return given

    def step(self, frame: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        """The next frame -> probabilities (objects + 1, H, W), background first, and the memory that changed."""
        values = self._segmented(frame, memory)
        return self._answer(values), *self._remembered(values | self._write.run(values))

    def segment(self, frame: Tensor, *memory: Tensor) -> Tensor:
        """As `step`, for a frame that is not remembered."""
        return self._answer(self._segmented(frame, memory))

    @torch.no_grad()
    def programs(self) -> list[Program]:
        """What a caller needs: `start`, `step` if frames are remembered, `segment` if some are not."""
        frame = torch.rand(3, *self.size, generator=torch.Generator().manual_seed(0))
        given = {"frame": frame, "mask": stripes(*self.size, self.objects).contiguous()}
        # Clones: exporters take a tensor that goes in twice for one input.
        memory = (x.clone(memory_format=torch.contiguous_format) for x in self.begun(self.start(**given)))
        inputs = {"frame": frame, **dict(zip(self.memory, memory, strict=True))}
        found = [Program("start", given, self.started)]
        if self.memory_every is not None:
            after = tuple(f"next_{name}" for name in self.changed)
            found.append(Program("step", inputs, ("probabilities", *after)))
        if self.memory_every != 1:
            found.append(Program("segment", inputs, ("probabilities",)))
        return found

    def _segmented(self, frame: Tensor, memory: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """All that the steps give for a frame."""
        values = {"frame": frame[None], **dict(zip(self.memory, memory, strict=True))}
        for part in (self._encode, self._read, self._decode):  # laid out as in `example_steps`
            values |= {name: x.contiguous() for name, x in part.run(values).items()}
        return values

    def _answer(self, values: dict[str, Tensor]) -> Tensor:
        """Probabilities (objects + 1, H, W)."""
        return values["probabilities"]

    def _remembered(self, values: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """The memory that `changed` names, with the frame of these values."""
        return tuple(values[name] for name in self.changed)


class QueueSteps(StaticSteps):
    """The memory is a key (1, Ck, T h w) and a value (objects, Cv, T h w) of T = `policy.capacity` frames.

    Oldest first, after the annotated one where the policy keeps that.
    """

    started = memory = changed = ("key", "value")

    def __init__(self, method: SpaceTimeMethod, height: int, width: int, objects: int) -> None:
        super().__init__(method, height, width, objects)
        assert method.policy.capacity is not None
        self.memory_frames = method.policy.capacity
        never = self.memory_frames == method.policy.keep_first
        self.memory_every = None if never else method.policy.every
        _, self.padding = pad_to_multiple(torch.empty(height, width, device="meta"), method.stride)

    def start(self, frame: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        planes, _ = pad_to_multiple(one_hot_objects(mask, list(range(1, self.objects + 1))))
        values = self._encode.run({"frame": frame[None]})
        values["probabilities"] = soft_aggregate(planes).softmax(0)
        new = self._new(values | self._write.run(values))
        empty = [torch.full_like(x, fill) for x, fill in zip(new, (EMPTY_KEY, 0.0), strict=True)]
        slots = ([x, *[none] * (self.memory_frames - 1)] for x, none in zip(new, empty, strict=True))
        first = self.method.policy.keep_first
        return tuple(torch.cat(each if first else each[::-1], 2) for each in slots)

    def _answer(self, values: dict[str, Tensor]) -> Tensor:
        return unpad(values["probabilities"], self.padding)

    def _remembered(self, values: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """The new ones (.., h w) as the last of the slots (.., T h w), without the oldest that may go."""
        slots, new = [values[name] for name in self.memory], self._new(values)
        hw, first = new[0].shape[2], self.method.policy.keep_first
        return tuple(
            torch.cat([old[:, :, :hw], old[:, :, 2 * hw :], x] if first else [old[:, :, hw:], x], 2)
            for old, x in zip(slots, new, strict=True)
        )

    def _new(self, values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return values["key16"].flatten(2), values["new_value"].flatten(2)


class DeAOTSteps(StaticSteps):
    """The memory is keys and values of each layer: long-term of the annotated frame, short-term of the previous.

    `start` gives the long-term one, which is the first short-term one too.
    """

    memory_frames, memory_every, remembers_labels = 2, 1, True

    def __init__(self, method: DeAOT, height: int, width: int, objects: int) -> None:
        super().__init__(method, height, width, objects)
        self.changed = self._write.outputs
        self.started = memory_names(len(self.changed), "long")
        self.memory = (*self.started, *self.changed)

    def start(self, frame: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        values = self._encode.run({"frame": frame[None]})
        assert isinstance(self._write.module, MemoryEncode)
        return self._write.module.annotated(mask, *(values[name] for name in FEATURES))

    def begun(self, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return given * 2


FAMILIES: dict[type, type[StaticSteps]] = {SpaceTimeMethod: QueueSteps, DeAOT: DeAOTSteps}


def static_steps(method: Method, height: int, width: int, objects: int) -> StaticSteps:
    """The programs of a method. Raises ConfigError where its memory does not fit into tensors of fixed shapes."""
    known = remembering(method)
    if known.policy.capacity is None:
        raise ConfigError(
            f"{type(method).__name__} cannot be exported: its memory is unbounded and files have fixed "
            "shapes; take deaot_t, or a MobileVOS student with options.queue_length=2, say"
        )
    if known.policy.include_last:
        raise ConfigError("a memory that holds the last frame besides its queue cannot be exported")
    if min(height, objects) < 1 or width <= objects:
        raise ConfigError(
            f"export.height={height}, export.width={width}, export.objects={objects}: give 1 or more of "
            "each, and fewer objects than columns"
        )
    family = next(steps for kind, steps in FAMILIES.items() if isinstance(method, kind))
    return family(known, height, width, objects)


class Function(nn.Module):
    """One function of `StaticSteps` as the `forward` that exporters ask for."""

    def __init__(self, steps: nn.Module, name: str) -> None:
        super().__init__()
        self.steps, self.name = steps, name

    def forward(self, *inputs: Tensor):
        return getattr(self.steps, self.name)(*inputs)
