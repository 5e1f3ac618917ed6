"""The table of backbones that a student may have: one entry makes one usable by its name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from methods.backbones.mobilenet import MobileNetV2
from methods.backbones.resnet import ResNet18
from methods.errors import MethodError


@dataclass(frozen=True)
class Heads:
    """Channels of a student's layers after the backbone: keys, values, and of the decoder at strides 8 and 4."""

    key: int = 64
    value: int = 128
    up8: int = 64
    up4: int = 48

    def scaled(self, width: float) -> "Heads":
        """All but the key scaled by `width`; keys keep at least 32 channels, or matching fails."""

        def scale(channels: int) -> int:
            return max(16, round(channels * width / 8) * 8)

        return Heads(max(32, scale(self.key)), scale(self.value), scale(self.up8), scale(self.up4))


@dataclass(frozen=True)
class Backbone:
    """build: (input channels, width) -> a module that takes (B, input channels, H, W) to features at strides 4, 8
    and 16, whose numbers of channels are its `channels`. Where ImageNet weights of the backbone's name are given,
    `imagenet_ignored` are the beginnings of their keys that it has no place for.
    """

    build: Callable[[int, float], nn.Module]
    heads: Heads = Heads()


BACKBONES = {
    "resnet18": Backbone(ResNet18, Heads(value=144, up8=112, up4=64)),
    "mobilenet_v2": Backbone(MobileNetV2),
}


def register_backbone(name: str, backbone: Backbone) -> None:
    """Add a backbone. Raises MethodError for a name that is taken."""
    if name in BACKBONES:
        raise MethodError(f"there is a backbone '{name}' already: register another name")
    BACKBONES[name] = backbone


def find_backbone(name: str) -> Backbone:
    """Raises MethodError for an unknown name."""
    if name not in BACKBONES:
        raise MethodError(f"unknown backbone '{name}'; known: {', '.join(BACKBONES)}")
    return BACKBONES[name]
