"""The encoders of AOT and DeAOT with the official key names: four maps, none coarser than stride 16."""

from torch import Tensor, nn

from methods.backbones.mobilenet import InvertedResidual, MobileNetV2, conv_bn_relu, divisible
from methods.backbones.resnet import Bottleneck, stage

Maps = tuple[Tensor, Tensor, Tensor, Tensor]


class DilatedMobileNetV2(MobileNetV2):
    """All of MobileNetV2, its last stages dilated instead of strided: maps at strides 4, 8, 16 and 16."""

    imagenet_ignored = ("classifier.",)

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(3, width)
        self._f16 = len(self.features)
        inputs = self.channels[-1]
        for channels, dilation in ((160, 1), (160, 2), (160, 2), (320, 2)):
            block = InvertedResidual(inputs, divisible(channels * width), 1, 6)
            depthwise = block.conv[1][0]
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

    def forward(self, frames: Tensor) -> Maps:
        f4 = self.early(frames)
        f8 = self.features[self._f4 : self._f8](f4)
        f16 = self.features[self._f8 : self._f16](f8)
        return f4, f8, f16, self.features[self._f16 :](f16)


class ResNet50(nn.Module):
    """ResNet-50 without its last stage: maps at strides 4, 8, 16 and the last one again."""

    imagenet_ignored = ("layer4.", "fc.")

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        base = max(8, round(64 * width))
        self.channels = (4 * base, 8 * base, 16 * base, 16 * base)
        self.conv1 = nn.Conv2d(3, base, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = stage(Bottleneck, base, base, 3, 1)
        self.layer2 = stage(Bottleneck, 4 * base, 2 * base, 4, 2)
        self.layer3 = stage(Bottleneck, 8 * base, 4 * base, 6, 2)

    @property
    def early(self) -> nn.Module:
        """The layers up to stride 4."""
        return nn.Sequential(self.conv1, self.bn1, self.relu, self.maxpool, self.layer1)

    def forward(self, frames: Tensor) -> Maps:
        f4 = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(frames)))))
        f8 = self.layer2(f4)
        f16 = self.layer3(f8)
        return f4, f8, f16, f16
