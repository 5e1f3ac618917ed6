"""The feature pyramid decoder: from stride 16 to the logits of all slots at stride 4."""

import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import chain
from methods.deaot.attention import xavier_


def conv_gn(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the size, and group normalisation."""
    return chain(conv=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), gn=nn.GroupNorm(8, outputs))


class Decoder(nn.Module):
    """channels: of a branch; skips: of the encoder's maps at strides 4, 8 and 16."""

    def __init__(self, channels: int, skips: tuple[int, int, int], slots: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv_in = conv_gn(2 * channels, channels, 1)
        self.conv_16x = conv_gn(channels, channels, 3)
        self.conv_8x = conv_gn(channels, half, 3)
        self.conv_4x = conv_gn(half, half, 3)
        self.adapter_4x, self.adapter_8x, self.adapter_16x = (
            nn.Conv2d(skip, out, 1) for skip, out in zip(skips, (half, channels, channels), strict=True)
        )
        self.conv_out = nn.Conv2d(half, slots, 1)
        xavier_(self)

    def forward(self, embedding: Tensor, f4: Tensor, f8: Tensor, f16: Tensor) -> tuple[Tensor, Tensor]:
        """embedding (B, 2 C, h, w) -> logits (B, slots, 4 h - 3, 4 w - 3) and the C / 2 channels before them."""
        x = F.relu(self.conv_in(embedding))
        x = F.relu(self.conv_16x(self.adapter_16x(f16) + x))
        x = F.relu(self.conv_8x(self.adapter_8x(f8) + resized(x, f8.shape[2:])))
        x = F.relu(self.conv_4x(self.adapter_4x(f4) + resized(x, f4.shape[2:])))
        return self.conv_out(x), x


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corner pixels on corner pixels: how DeAOT goes from one stride, of 16 k + 1 pixels, to another."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=True)
