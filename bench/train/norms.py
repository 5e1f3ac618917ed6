"""Batch normalisation over the whole batch of several ranks."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from bench.train.ranks import Ranks

T = TypeVar("T", bound=nn.Module)


def share_statistics(network: T, ranks: Ranks) -> T:
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
