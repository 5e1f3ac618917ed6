"""MobileSAM's image encoder: TinyViT-5M whose last stage keeps the resolution, so that it ends at stride 16.

Zhang et al.: Faster Segment Anything, arXiv 2306.14289; Wu et al.: TinyViT, ECCV 2022.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import chain
from methods.sam.layers import join_windows, neck, split_windows

HEAD_CHANNELS = 32
WINDOWS = (None, 7, 7 * 2, 7)  # the first stage is convolutional
STRIDES = (2, 2, 1)  # of the steps between the stages; TinyViT's own is 2 each time
CLASSES = 1000


class Conv2dBN(nn.Sequential):
    """A convolution that keeps the size but for its stride, and batch normalisation."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)


class Separable(nn.Module):
    """Point-wise, depth-wise, point-wise: what MBConv and the steps between stages have in common."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = Conv2dBN(inputs, hidden)
        self.conv2 = Conv2dBN(hidden, hidden, 3, stride, groups=hidden)
        self.conv3 = Conv2dBN(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class MBConv(Separable):
    """Inverted bottleneck; it starts as the identity, as its last normalisation starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 4 * channels, channels)
        nn.init.zeros_(self.conv3.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x + super().forward(x))


class Attention(nn.Module):
    """Multi-head attention inside windows (n, side, side, C), with a learnt bias a head and absolute distance."""

    distance: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))
        rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        apart = [(x.flatten()[:, None] - x.flatten()).abs() for x in (rows, columns)]
        self.register_buffer("distance", apart[0] * window + apart[1], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[1:3]
        qkv = self.qkv(self.norm(x).flatten(1, 2)).unflatten(2, (self.heads, 3, -1))
        q, k, v = qkv.permute(3, 0, 2, 1, 4)
        logits = (q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5 + self.attention_biases[:, self.distance]
        x = logits.softmax(-1) @ v
        return self.proj(x.transpose(1, 2).flatten(2)).unflatten(1, size)


class Block(nn.Module):
    """Attention in windows, a depth-wise convolution across their borders, an MLP: (B, C, H, W) -> the same."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = Attention(channels, heads, window)
        self.local_conv = Conv2dBN(channels, channels, 3, groups=channels)
        self.mlp = chain(
            norm=nn.LayerNorm(channels),
            fc1=nn.Linear(channels, 4 * channels),
            act=nn.GELU(),
            fc2=nn.Linear(4 * channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.permute(0, 2, 3, 1)
        seen = join_windows(self.attn(split_windows(tokens, self.window)), *tokens.shape[1:3])
        x = self.local_conv((tokens + seen).permute(0, 3, 1, 2))
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TinyViT(nn.Module):
    """Normalised images (B, 3, H, W), sides multiples of 16 -> embeddings (B, `outputs`, H / 16, W / 16).

    heads, depths: attention heads (of 32 channels each) and blocks of the four stages. The classifier
    (`norm_head`, `head`) is there for the checkpoint's sake; nothing uses it.
    """

    def __init__(self, heads: tuple[int, ...], depths: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        channels = [HEAD_CHANNELS * n for n in heads]
        half = channels[0] // 2
        stem = nn.Sequential(Conv2dBN(3, half, 3, 2), nn.GELU(), Conv2dBN(half, channels[0], 3, 2))
        self.patch_embed = chain(seq=stem)  # to stride 4
        self.layers = nn.Sequential()
        for i, (width, window) in enumerate(zip(channels, WINDOWS, strict=True)):
            blocks = [Block(width, heads[i], window) if window else MBConv(width) for _ in range(depths[i])]
            self.layers.append(chain(blocks=nn.Sequential(*blocks)))
            if i < 3:
                step = Separable(width, channels[i + 1], channels[i + 1], STRIDES[i])
                self.layers[i].add_module("downsample", step)
        self.norm_head = nn.LayerNorm(channels[-1])
        self.head = nn.Linear(channels[-1], CLASSES)
        self.neck = neck(channels[-1], outputs)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.neck(self.layers(self.patch_embed(images)))
