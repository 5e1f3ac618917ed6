"""STCN with the official key names and shapes, so that `stcn.pth` loads strictly.

Cheng, Tai, Tang: Rethinking Space-Time Networks with Improved Memory Coverage for Efficient Video Object
Segmentation, NeurIPS 2021.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.backbones.resnet import BasicBlock, ResNet, ResNet50
from methods.blocks import ResBlock, SkipDecoder, chain, conv3x3, key_projection
from methods.borrowed import borrowed
from methods.memory import MemoryPolicy
from methods.space_time import SpaceTimeMethod


class KeyEncoder(ResNet50):
    """ResNet-50 to stride 16, its first stage by STCN's name."""

    imagenet_names = (("layer1.", "res2."),)
    first = "res2"


# Convolutional block attention (Woo et al., ECCV 2018), as STCN uses it: key names are the official ones.


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


class Fuser(nn.Module):
    """Joins the memory encoder's features with the query encoder's (residual blocks around CBAM)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block1 = ResBlock(inputs, outputs)
        self.attention = chain(ChannelGate=ChannelGate(outputs), SpatialGate=SpatialGate())
        self.block2 = ResBlock(outputs, outputs)

    def forward(self, x: Tensor, f16: Tensor) -> Tensor:
        x = self.block1(torch.cat([x, f16], 1))
        return self.block2(x + self.attention(x))


class ValueEncoder(ResNet):
    """ResNet-18 over image, object mask and the other objects' mask; its convolutions carry biases."""

    imagenet_absent = ("fuser.",)

    def __init__(self, base: int, key_channels: int, outputs: int) -> None:
        super().__init__(BasicBlock, (base, 2 * base, 4 * base), (2, 2, 2), in_channels=5, bias=True)
        self.fuser = Fuser(4 * base + key_channels, outputs)

    def forward(self, x: Tensor, f16: Tensor) -> Tensor:  # type: ignore[override]
        return self.fuser(super().forward(x)[-1], f16)


class STCN(SpaceTimeMethod):
    """STCN as published: memory every 5 frames, top-20 affinity, last frame not in memory.

    train_every: memory every so many frames of a clip in training, whose frames lie further apart than those of a
    video: STCN remembers all.
    width: scales every channel count; 1.0 is the official network, less is for small experiments.
    encoder, encoder_width: a method whose encoder, of this width, stands in for the own one (`BorrowedEncoder`).
    """

    encoder_name, encoder_backbone = "key_encoder", "resnet50"

    def __init__(
        self,
        memory_every: int = 5,
        top_k: int | None = 20,
        include_last: bool = False,
        train_every: int = 1,
        width: float = 1.0,
        encoder: str | None = None,
        encoder_width: float = 1.0,
    ) -> None:
        policy = MemoryPolicy(every=memory_every, include_last=include_last)
        super().__init__(policy, top_k, clip_policy=MemoryPolicy(every=train_every))
        base = max(8, round(64 * width))
        key, value = max(64, base), 8 * base  # narrower keys tell too little apart
        self.key_encoder = borrowed(encoder, encoder_width, KeyEncoder(base))
        self.value_encoder = ValueEncoder(base, 16 * base, value)
        self.key_proj = chain(key_proj=key_projection(16 * base, key))
        self.key_comp = conv3x3(16 * base, value)
        self.decoder = SkipDecoder((8 * base, 4 * base), value, value // 2, compress=ResBlock(2 * value, value))

    @property
    def own_backbones(self) -> dict[str, nn.Module]:
        return {"resnet50": self.key_encoder, "resnet18": self.value_encoder}

    def project(self, f16: Tensor) -> tuple[Tensor, Tensor]:
        return self.key_proj(f16), self.key_comp(f16)

    def encode_memory(self, frames: Tensor, f16: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        return self.value_encoder(torch.cat([frames, masks[:, None], others[:, None]], 1), f16)

    @staticmethod
    def adapt_checkpoint(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Stage-0 checkpoints know no other objects: their first convolution gets an empty fifth input."""
        key = "value_encoder.conv1.weight"
        if key in state and state[key].shape[1] == 4:
            state = {**state, key: F.pad(state[key], (0, 0, 0, 0, 0, 1))}
        return state
