"""ResNet up to stride 16, with torchvision's key names (He et al., CVPR 2016).

Random bottleneck blocks start as the identity (Goyal et al. 2017, section 5.1): so deep a stack hardly learns
otherwise.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from methods.backbones.frozen import conv_norm


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (ResNet-18/34)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(inputs, width, stride, bias)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(conv_norm(self.conv1, self.bn1, x))
        out = conv_norm(self.conv2, self.bn2, out)
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions (ResNet-50 and deeper); the 3x3 carries the stride."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=bias)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, outputs, stride, bias)
        nn.init.zeros_(self.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(conv_norm(self.conv1, self.bn1, x))
        out = self.relu(conv_norm(self.conv2, self.bn2, out))
        out = conv_norm(self.conv3, self.bn3, out)
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


def shortcut(inputs: int, outputs: int, stride: int, bias: bool) -> nn.Sequential | None:
    """The projection of a residual block, or None where the identity fits."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=bias), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """A ResNet without its last stage: (B, in_channels, H, W) -> features at strides 4, 8 and 16.

    widths, depths: of the blocks of the three stages. bias: convolutions of the first layer and of the blocks have
    one. first: the name of the first stage.
    """

    imagenet_ignored = ("layer4.", "fc.")
    first = "layer1"
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        widths: Sequence[int],
        depths: Sequence[int],
        in_channels: int = 3,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.channels = tuple(block.expansion * width for width in widths)
        self.conv1 = nn.Conv2d(in_channels, widths[0], 7, 2, 3, bias=bias)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = widths[0]
        for number, (width, depth, outputs) in enumerate(zip(widths, depths, self.channels, strict=True)):
            first = block(inputs, width, min(number + 1, 2), bias)
            rest = (block(outputs, width, 1, bias) for _ in range(depth - 1))
            self.add_module((self.first, "layer2", "layer3")[number], nn.Sequential(first, *rest))
            inputs = outputs

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.maxpool(self.relu(conv_norm(self.conv1, self.bn1, x)))
        f4 = getattr(self, self.first)(x)
        f8 = self.layer2(f4)
        return f4, f8, self.layer3(f8)


class ResNet18(ResNet):
    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__(BasicBlock, [max(8, round(c * width)) for c in (64, 128, 256)], (2, 2, 2), in_channels)


class ResNet50(ResNet):
    def __init__(self, base: int = 64) -> None:
        super().__init__(Bottleneck, (base, 2 * base, 4 * base), (3, 4, 6))
