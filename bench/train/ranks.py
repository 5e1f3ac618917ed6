"""Several processes that train one network, each on its part of every batch.

What they reach is what one process reaches on the whole batches, up to rounding: a mean over the objects (or
whatever a loss is a mean over) is weighed by how many each process has, noise is drawn as for the whole batch, and
what looks across a batch (`share_statistics`, `Ranks.rows`) looks across all of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

T = TypeVar("T")
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Ranks:
    """How many processes train together, and which of them this is; all meet in every method.

    By default one is alone: then the methods give back what they are given, and nothing of torch.distributed runs.
    """

    number: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and shows progress."""
        return self.number == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over the ranks, element by element; gradients flow through it."""
        return values if self.size == 1 else _Sum.apply(values)

    def any(self, own: bool) -> bool:
        """Whether it is so on one of the ranks."""
        return bool(self.total(torch.tensor(float(own))))

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over the ranks."""
        return float(self.total(value.detach())) / self.size

    def share(self, count: int | Tensor) -> float:
        """The factor of a mean over `count` things of this rank.

        With it the mean over the ranks, by which gradients are averaged, is that over the things of all ranks.
        """
        if self.size == 1:
            return 1.0
        count = torch.as_tensor(count, dtype=torch.float64)
        return float(self.size * count / self.total(count).clamp(min=1))

    def before(self, count: int) -> int:
        """How many things the ranks before this one have, which itself has `count`."""
        return sum(self._counts(count)[: self.number])

    def rows(self, own: Tensor) -> Tensor:
        """The rows (n, D) of all ranks, in order -> (N, D); gradients flow to where a row came from."""
        if self.size == 1:
            return own
        counts = self._counts(len(own))
        above, below = sum(counts[: self.number]), sum(counts[self.number + 1 :])
        return self.total(F.pad(own, (0, 0, above, below)))

    def from_first(self, make: Callable[[], T]) -> T:
        """What `make` gives the first rank, for all; the others do not call it.

        Tensors, numbers, text and containers of these: what torch.load reads without running code.
        """
        if self.size == 1:
            return make()
        buffer = BytesIO()
        if self.leads:
            made = make()
            torch.save(made, buffer)
        content = self.rows(torch.tensor(bytearray(buffer.getvalue()), dtype=torch.uint8)[:, None])
        return made if self.leads else torch.load(BytesIO(content.numpy().tobytes()), weights_only=True)

    def spread(self, function: Callable[..., T], parts: Iterable[nn.Module], partly: bool) -> Callable[..., T]:
        """The function, whose losses then give all ranks the mean of their gradients for the parts' parameters.

        partly: whether the losses may leave parameters out.
        """
        if self.size == 1:
            return function
        return nn.parallel.DistributedDataParallel(_Parts(function, parts), find_unused_parameters=partly)

    def _counts(self, count: int) -> list[int]:
        if self.size == 1:
            return [count]
        counts = torch.zeros(self.size, dtype=torch.int64)
        counts[self.number] = count
        return self.total(counts).tolist()


ALONE = Ranks()


def ranks_here() -> Ranks:
    """Those that this process has joined (bench.train.together)."""
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else ALONE


def share_statistics(network: Network, ranks: Ranks) -> Network:
    """The network, whose batch norms take their statistics over all ranks where they train; key names stay."""
    if ranks.size == 1:
        return network
    if next(network.parameters()).device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, JointBatchNorm2d(child, ranks))
    return network


class JointBatchNorm2d(nn.BatchNorm2d):
    """Takes the place, parameters and buffers of a BatchNorm2d. For the CPU, as SyncBatchNorm needs a GPU."""

    def __init__(self, norm: nn.BatchNorm2d, ranks: Ranks) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.ranks = ranks
        self._parameters, self._buffers = norm._parameters, norm._buffers

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        values = x.float() if x.dtype == torch.bfloat16 else x
        count = self.ranks.total(values.new_tensor(float(values[:, 0].numel())))
        mean = self.ranks.total(values.sum((0, 2, 3))) / count
        centred = values - mean.view(-1, 1, 1)
        variance = self.ranks.total(centred.pow(2).sum((0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(-1, 1, 1) + self.bias.view(-1, 1, 1)).to(x.dtype)


class _Parts(nn.Module):
    """The modules that a function computes with, as the one module that DistributedDataParallel wraps."""

    def __init__(self, function: Callable, parts: Iterable[nn.Module]) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, *arguments):
        return self.function(*arguments)


class _Sum(torch.autograd.Function):
    """An all-reduce that autograd knows; a rank's input has a gradient from the losses of all ranks."""

    @staticmethod
    def forward(_, values: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)
