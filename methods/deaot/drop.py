"""Dropping parts of a network in training, from a generator of one's own."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from methods.noise import rand


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
