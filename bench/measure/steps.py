"""Which steps of a frame are measured: at what size, of how many objects, with how full a memory."""

import copy

import torch
from torch import Tensor

from bench.system.errors import ConfigError
from methods.interface import Method, Remembering, Stepped
from methods.memory import MemoryPolicy
from methods.steps import Step
from methods.steps import stripes as plain_stripes

# With every 5th frame kept, a frame of DAVIS 2016 val finds 8.0 in memory (mean over all but the first ones).
UNBOUNDED_MEMORY_FRAMES = 8


def frame_steps(
    method: Stepped, height: int, width: int, objects: int, memory_frames: int | None = None
) -> list[Step]:
    """The method's steps, its memory, if any, as full as it stays in a long video, or as `memory_frames` says.

    The method must be in evaluation mode. Raises ConfigError for an impossible `memory_frames` or `objects`.
    """
    check_objects(objects, width)
    return method.frame_steps(height, width, objects, frames_read(method, memory_frames))


def frames_read(method: Method, memory_frames: int | None = None) -> int:
    """`steady_memory_frames` of a method with a memory, 0 without one."""
    return steady_memory_frames(method.policy, memory_frames) if isinstance(method, Remembering) else 0


def frozen_copy(method: Stepped, device: str | torch.device | None = None) -> Stepped:
    """A copy in evaluation mode that needs no gradients, on its device or on another, "meta" among them."""
    return copy.deepcopy(method).eval().requires_grad_(False).to(device)


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


def stripes(height: int, width: int, objects: int) -> Tensor:
    """As `methods.steps.stripes`. Raises ConfigError for an impossible `objects`."""
    check_objects(objects, width)
    return plain_stripes(height, width, objects)


def check_objects(objects: int, width: int) -> None:
    """Raise ConfigError unless each object can have a stripe of a frame that is `width` wide."""
    if not 1 <= objects < width:
        raise ConfigError(f"objects={objects}: give 1 to {width - 1}, each gets a stripe of the frame")
