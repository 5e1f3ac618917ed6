"""Random numbers of a batch of clips, of which a process may have a part, and what a network drops by them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class PartGenerator(torch.Generator):
    """A generator for one of `parts` equal, consecutive parts of a batch.

    `rand` and `permutations` draw from it for the whole batch and give what is this part's, so that a part gets
    the numbers that it would get inside the batch. By default the part is the whole.
    """

    part, parts = 0, 1


def rand(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """`torch.rand`; the first axis counts what the batch does, or a multiple of it in the same order."""
    part, parts = _part(generator)
    return torch.rand(shape[0] * parts, *shape[1:], generator=generator).chunk(parts)[part]


def permutations(count: int, length: int, generator: torch.Generator | None) -> Tensor:
    """A permutation of 0..length-1 for each of the part's `count` clips -> int64 (count, length)."""
    part, parts = _part(generator)
    drawn = [torch.randperm(length, generator=generator) for _ in range(count * parts)]
    return torch.stack(drawn[part * count : (part + 1) * count])


def _part(generator: torch.Generator | None) -> tuple[int, int]:
    return (generator.part, generator.parts) if isinstance(generator, PartGenerator) else (0, 1)


class Drop(nn.Module):
    """In training sets slices of its input to zero at this rate and scales up the others.

    The first `axes` axes are drawn for: 1 drops samples (drop path), 2 drops channels of samples. The numbers come
    from the generator of `drawing_from`, on the CPU whatever the input's device, or else from torch's own, which
    networks that train side by side would share.
    """

    def __init__(self, rate: float, axes: int) -> None:
        super().__init__()
        self.rate, self.axes = rate, axes
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        shape = x.shape[: self.axes] + (1,) * (x.ndim - self.axes)
        kept = rand(shape, self.generator) >= self.rate
        return x * (kept.to(x) / (1 - self.rate))


@contextmanager
def drawing_from(generator: torch.Generator | None, network: nn.Module) -> Iterator[None]:
    """All `Drop`s of the network draw from the generator until the block ends."""
    drops = [module for module in network.modules() if isinstance(module, Drop)]
    for drop in drops:
        drop.generator = generator
    try:
        yield
    finally:
        for drop in drops:
            drop.generator = None
