"""What is measured on: frames of a size with a number of objects, and how full the memory is."""

import copy
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bench.system.errors import ConfigError
from methods.interface import Method, Remembering, Stepped
from methods.memory import MemoryPolicy
from methods.steps import Step, stripes

# With every 5th frame kept, a frame of DAVIS 2016 val finds 8.0 in memory (mean over all but the first ones).
UNBOUNDED_MEMORY_FRAMES = 8

OCTAVES = (64, 16, 4)  # pixels between the points of the noise that is summed
STEP = 3  # pixels that the texture moves from frame to frame
QUALITY = 95


@dataclass(frozen=True)
class Scene:
    """What is segmented, and on which device.

    memory_frames: in the memory that is read; None: its capacity, or 8 when it is unbounded.
    frames: of the videos that some protocols run, the annotated one included; 2 or more.
    Raises ConfigError unless each object can have a stripe of a frame; so does, for `memory_frames` that a memory
    cannot hold, whatever takes a scene.
    """

    height: int = 480
    width: int = 864
    objects: int = 1
    memory_frames: int | None = None
    frames: int = 11
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 1 <= self.objects < self.width:
            most = self.width - 1
            raise ConfigError(f"objects={self.objects}: give 1 to {most}, each gets a stripe of the frame")

    def stripes(self) -> Tensor:
        """Its first mask, on its device, as `methods.steps.stripes`."""
        return stripes(self.height, self.width, self.objects).to(self.device)


def frame_steps(method: Stepped, scene: Scene) -> list[Step]:
    """The method's steps, its memory, if any, as full as the scene says. It must be in evaluation mode."""
    return method.frame_steps(scene.height, scene.width, scene.objects, frames_read(method, scene.memory_frames))


def frames_read(method: Method, memory_frames: int | None = None) -> int:
    """`steady_memory_frames` of a method with a memory, 0 without one."""
    return steady_memory_frames(method.policy, memory_frames) if isinstance(method, Remembering) else 0


def frozen_copy(method: Stepped, device: str | torch.device | None = None) -> Stepped:
    """A copy in evaluation mode that needs no gradients, on its device or on another, "meta" among them."""
    assert isinstance(method, nn.Module)
    return copy.deepcopy(method).eval().requires_grad_(False).to(device)


def started_copy(method: Method, scene: Scene) -> tuple[Method, Tensor]:
    """A copy of the method on the scene's device in evaluation mode, started on a frame of noise; and that frame.

    What cannot be copied, as a class that holds objects of OpenCV, is started itself.
    """
    with suppress(TypeError):
        method = copy.deepcopy(method)
    if isinstance(method, nn.Module):
        method = method.to(scene.device).eval()
    frame = torch.rand(3, scene.height, scene.width, generator=torch.Generator().manual_seed(0)).to(scene.device)
    method.start(frame, scene.stripes())
    return method, frame


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


def moving_texture(frames: int, height: int, width: int) -> list[np.ndarray]:
    """`frames` frames uint8 (H, W, 3) RGB of smooth noise that moves to the right; always the same."""
    noise, texture = np.random.default_rng(0), np.zeros((height, width, 3), np.float32)
    for cell in OCTAVES:
        points = noise.uniform(-1, 1, (height // cell + 2, width // cell + 2, 3)).astype(np.float32) * cell**0.5
        texture += cv2.resize(points, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(127 + 12 * texture, 0, 255).astype(np.uint8)
    return [np.roll(image, STEP * t, axis=1) for t in range(frames)]


def write_frames(frames: list[np.ndarray], folder: Path) -> list[Path]:
    """Write 00000.jpg, 00001.jpg, ... and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:05d}.jpg" for index in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path, quality=QUALITY)
    return paths
