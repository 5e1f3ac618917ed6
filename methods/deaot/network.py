"""DeAOT's network with the official key names, as pure functions of frames, masks and memories.

Yang and Yang: Decoupling Features in Hierarchical Propagation for Video Object Segmentation, NeurIPS 2022.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from methods.backbones.aot import DilatedMobileNetV2, ResNet50
from methods.backbones.frozen import freeze_norms
from methods.blocks import as_map, chain, tokens
from methods.deaot.attention import Attentions, xavier_
from methods.deaot.frames import OBJECTS, resized
from methods.deaot.propagation import DualBranchGPM, Memory, Own
from methods.errors import MethodError

ENCODERS: dict[str, Callable[[float], DilatedMobileNetV2 | ResNet50]] = {
    "mobilenet_v2": DilatedMobileNetV2,
    "resnet50": ResNet50,
}
CHANNELS = 256
Memories = tuple[Memory, ...]  # one a layer


class Features(NamedTuple):
    """What the encoder sees in B frames; the trailing number is the stride."""

    f4: Tensor
    f8: Tensor
    f16: Tensor
    top: Tensor  # (B, C, h, w) at stride 16, what propagates

    def select(self, index) -> "Features":
        """The frames of `index` along the batch axis."""
        return Features(*(each[index] for each in self))


def conv_gn(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A convolution that keeps the size, and group normalisation."""
    return chain(conv=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), gn=nn.GroupNorm(8, outputs))


class Decoder(nn.Module):
    """channels: of a branch; skips: of the encoder's maps at strides 4, 8 and 16."""

    def __init__(self, channels: int, skips: tuple[int, ...], slots: int) -> None:
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


class Network(nn.Module):
    """encoder: a key of ENCODERS; layers: gated propagation modules; attentions: build the exchangeable ones.

    width: scales every channel count; 1.0 is published.
    frozen: the encoder's batch normalisation and its layers up to stride 4 stay as loaded (published).
    drop: rate of drop path and of dropped channels in training; 0.1 is published.
    """

    def __init__(
        self, encoder: str, layers: int, attentions: Attentions, width: float, frozen: bool, drop: float
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise MethodError(f"unknown encoder '{encoder}'; known: {', '.join(ENCODERS)}")
        channels = max(16, round(CHANNELS * width / 16) * 16)  # halves of it in 8 groups
        self.encoder = ENCODERS[encoder](width)
        if frozen:
            freeze_norms(self.encoder)
            self.encoder.early.requires_grad_(False)
        *skips, last = self.encoder.channels
        self.encoder_projector = nn.Conv2d(last, channels, 1)
        self.LSTT = DualBranchGPM(layers, channels, drop, attentions)
        self.decoder = Decoder(channels, tuple(skips), OBJECTS + 1)
        self.patch_wise_id_bank = nn.Conv2d(OBJECTS + 1, channels, 17, 16, 8)
        self.id_norm = nn.LayerNorm(channels)
        nn.init.xavier_uniform_(self.encoder_projector.weight)
        nn.init.orthogonal_(self.patch_wise_id_bank.weight, gain=17**-2)
        if width != 1:
            self.LSTT.sharpen_keys()

    def encode_frame(self, frames: Tensor) -> Features:
        """Normalised frames (B, 3, H, W), H and W of the form 16 k + 1 -> their features."""
        f4, f8, f16, last = self.encoder(frames)
        return Features(f4, f8, f16, self.encoder_projector(last))

    def embed_mask(self, masks: Tensor) -> Tensor:
        """One-hot (B, n + 1, H, W), background first, n up to 10 -> identification embedding (B, C, h, w)."""
        bank = self.patch_wise_id_bank
        # The slots beyond the objects are empty: their part of the kernel has nothing to add.
        x = F.conv2d(masks, bank.weight[:, : masks.shape[1]], bank.bias, bank.stride, bank.padding)
        return as_map(self.id_norm(tokens(x)), x.shape[2:])

    def memory_write(self, owns: tuple[Own, ...], id_embedding: Tensor) -> Memories:
        """A propagated frame and the embedding (B, C, h, w) of its mask -> memory of this one frame."""
        layers = zip(self.LSTT.layers, owns, strict=True)
        return tuple(layer.write(own, id_embedding) for layer, own in layers)

    def decode(self, embedding: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """-> logits (B, 11, H', W') of background and slots at stride 4, and the C / 2 channels before them."""
        return self.decoder(embedding, features.f4, features.f8, features.f16)
