"""Blocks that networks share."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def chain(**parts: nn.Module) -> nn.Sequential:
    """Modules one after the other, by the names that checkpoints give them."""
    return nn.Sequential(OrderedDict(parts))


def tokens(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C)."""
    return maps.flatten(2).transpose(1, 2)


def as_map(x: Tensor, size: Sequence[int]) -> Tensor:
    """(B, H W, C) -> (B, C, H, W)."""
    return x.transpose(1, 2).unflatten(2, size)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def key_projection(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution to the keys, orthogonally initialised."""
    projection: Any = conv3x3(inputs, outputs)
    nn.init.orthogonal_(projection.weight)
    nn.init.zeros_(projection.bias)
    return projection


class ResBlock(nn.Module):
    """Two pre-activated 3x3 convolutions around a shortcut (STM's residual block)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.downsample = None if inputs == outputs else conv3x3(inputs, outputs)
        self.conv1 = conv3x3(inputs, outputs)
        self.conv2 = conv3x3(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        r = self.conv2(F.relu(self.conv1(F.relu(x))))
        return r + (x if self.downsample is None else self.downsample(x))


class UpsampleBlock(nn.Module):
    """Doubles the resolution and adds a skip connection from the query encoder."""

    def __init__(self, skip: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip_conv = conv3x3(skip, inputs)
        self.out_conv = ResBlock(inputs, outputs)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out_conv(self.skip_conv(skip) + x)


class SkipDecoder(nn.Module):
    """Readout and context at stride 16, skips at 8 and 4 -> logits at full size, embedding at stride 4.

    skips: channels at strides 8 and 4. inputs, channels: of what `before` makes of the readout, of the embedding.
    before: modules that take the readout, one after the other, by the names that checkpoints give them.
    """

    def __init__(self, skips: tuple[int, int], inputs: int, channels: int, **before: nn.Module) -> None:
        super().__init__()
        for name, part in before.items():
            self.add_module(name, part)
        self.before = tuple(before)
        self.up_16_8 = UpsampleBlock(skips[0], inputs, channels)
        self.up_8_4 = UpsampleBlock(skips[1], channels, channels)
        self.pred = conv3x3(channels, 1)

    def forward(self, x: Tensor, f8: Tensor, f4: Tensor) -> tuple[Tensor, Tensor]:
        for name in self.before:
            x = getattr(self, name)(x)
        embedding = F.relu(self.up_8_4(f4, self.up_16_8(f8, x)))
        logits = F.interpolate(self.pred(embedding), scale_factor=4, mode="bilinear", align_corners=False)
        return logits[:, 0], embedding


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling (DeepLabv3, Chen et al. 2017): (B, C, h, w) -> (B, C, h, w).

    1x1, three dilated 3x3 and a pooled branch, fused by a 1x1. The rates are ours: features of stride 16 on small
    frames leave little room for DeepLab's 6/12/18.
    """

    def __init__(self, channels: int, rates: tuple[int, ...] = (2, 4, 8)) -> None:
        super().__init__()
        self.point = nn.Conv2d(channels, channels, 1)
        dilated = (nn.Conv2d(channels, channels, 3, padding=rate, dilation=rate) for rate in rates)
        self.dilated = nn.ModuleList(dilated)
        self.pooled = nn.Conv2d(channels, channels, 1)
        self.fuse = nn.Conv2d((len(rates) + 2) * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pooled(x.mean((2, 3), keepdim=True)).expand_as(x)
        branches = [self.point(x), *(conv(x) for conv in self.dilated), pooled]
        return x + self.fuse(F.relu(torch.cat(branches, 1)))
