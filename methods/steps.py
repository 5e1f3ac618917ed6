"""The steps of a frame: what a method with a memory does for each one, as functions of tensors alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

STEPS = ("query_encode", "memory_read", "decode", "memory_encode")  # of a network with a memory; SAM has two
WRITE = STEPS[-1]


@dataclass(frozen=True)
class Step:
    """A function of tensors: `module` takes those of `inputs`, an example, in order, and gives `outputs`.

    Tensors have at most 4 dimensions. What comes from an earlier step has the same name there. All that is
    computed is used for an output, so that nothing is lost where a graph is traced; every softmax is over the
    last dimension, which mobile runtimes do quickly.
    per_frame: how often a frame needs it, on average.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    per_frame: float = 1.0

    def run(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs by name, for the inputs among `values`."""
        found = self.module(*(values[name] for name in self.inputs))
        found = (found,) if isinstance(found, Tensor) else found
        return dict(zip(self.outputs, found, strict=True))


class Part(nn.Module):
    """A step that a network does, as a module of its own; subclasses say how."""

    network: Any  # of the family that the subclass is for

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


def stripes(height: int, width: int, objects: int) -> Tensor:
    """A mask for examples: int64 (H, W) of ids 0..objects from left to right."""
    return (torch.arange(width) * (objects + 1) // width).expand(height, width)


def noise_frame(height: int, width: int, like: Tensor) -> Tensor:
    """A frame for examples: (1, 3, H, W) in [0, 1], always the same, where `like` is."""
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(like)


def like_frames(x: Tensor, count: int) -> Tensor:
    """One remembered frame (.., .., P, ...) -> `count` of them along dimension 2, each weaker than the last."""
    frames = [x * 0.9**age for age in range(count)]
    return frames[0] if count == 1 else torch.cat(frames, 2)  # a single one keeps its layout in memory
