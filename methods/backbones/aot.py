"""The encoders of AOT and DeAOT with the official key names: four maps, none coarser than stride 16."""

from typing import Any

from torch import Tensor, nn

from methods.backbones import resnet
from methods.backbones.mobilenet import InvertedResidual, MobileNetV2, conv_bn_relu, divisible


class DilatedMobileNetV2(MobileNetV2):
    """All of MobileNetV2, its last stages dilated instead of strided: maps at strides 4, 8, 16 and 16."""

    imagenet_ignored = ("classifier.",)

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(3, width)
        inputs = self.channels[-1]
        for channels, dilation in ((160, 1), (160, 2), (160, 2), (320, 2)):
            block = InvertedResidual(inputs, divisible(channels * width), 1, 6)
            depthwise: Any = block.conv.get_submodule("1.0")
            depthwise.dilation = depthwise.padding = (dilation, dilation)
            self.features.append(block)
            inputs = divisible(channels * width)
        last = divisible(1280 * width)
        self.features.append(conv_bn_relu(inputs, last, 1))
        self.channels = (*self.channels, last)

    @property
    def early(self) -> nn.Module:
        """The layers up to stride 4."""
        return self.features[: self._f4]

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        maps = super().forward(frames)
        return *maps, self.features[self._f16 :](maps[-1])


class ResNet50(resnet.ResNet50):
    """ResNet-50 without its last stage: maps at strides 4, 8, 16 and the last one again."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(max(8, round(64 * width)))
        self.channels = (*self.channels, self.channels[-1])

    @property
    def early(self) -> nn.Module:
        """The layers up to stride 4."""
        return nn.Sequential(self.conv1, self.bn1, self.relu, self.maxpool, self.layer1)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        maps = super().forward(frames)
        return *maps, maps[-1]
