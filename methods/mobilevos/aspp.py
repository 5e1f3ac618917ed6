"""Atrous spatial pyramid pooling (DeepLabv3, Chen et al. 2017)."""

import torch
from torch import Tensor, nn


class ASPP(nn.Module):
    """1x1, three dilated 3x3 and a pooled branch, fused by a 1x1; (B, C, h, w) -> (B, C, h, w).

    The rates are ours: features of stride 16 on small frames leave little room for DeepLab's 6/12/18.
    """

    def __init__(self, channels: int, rates: tuple[int, ...] = (2, 4, 8)) -> None:
        super().__init__()
        self.point = nn.Conv2d(channels, channels, 1)
        self.dilated = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate) for rate in rates
        )
        self.pooled = nn.Conv2d(channels, channels, 1)
        self.fuse = nn.Conv2d((len(rates) + 2) * channels, channels, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pooled(x.mean((2, 3), keepdim=True)).expand_as(x)
        branches = [self.point(x), *(conv(x) for conv in self.dilated), pooled]
        return x + self.fuse(self.relu(torch.cat(branches, 1)))
