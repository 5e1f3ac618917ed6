"""Convolutional block attention (Woo et al., ECCV 2018), as STCN uses it: key names are the official ones."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import chain


class ChannelGate(nn.Module):
    """Weighs channels by a shared MLP over their average and their maximum."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        attention = self.mlp(F.adaptive_avg_pool2d(x, 1)) + self.mlp(x.amax((2, 3), keepdim=True))
        return x * attention.sigmoid()[:, :, None, None]


class SpatialGate(nn.Module):
    """Weighs positions by a convolution over the channels' maximum and mean."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = chain(conv=nn.Conv2d(2, 1, 7, padding=3))

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * self.spatial(pooled).sigmoid()


def cbam(channels: int) -> nn.Sequential:
    """Channel gate, then spatial gate."""
    return chain(ChannelGate=ChannelGate(channels), SpatialGate=SpatialGate())
