"""MobileNetV2 up to stride 16, with torchvision's key names (Sandler et al., CVPR 2018)."""

from torch import Tensor, nn

from methods.backbones.frozen import conv_norm

# expansion, output channels, repeats, stride: Table 2 of the paper, up to stride 16
SETTINGS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of `by`, not more than 10 % below (the reference implementation's rule)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


class Layers(nn.Sequential):
    """A Sequential in which `conv_norm` joins every convolution with the norm after it."""

    def forward(self, x: Tensor) -> Tensor:
        conv = None
        for module in self:
            if isinstance(module, nn.Conv2d):
                conv = module
            elif conv is not None:
                x, conv = conv_norm(conv, module, x), None
            else:
                x = module(x)
        return x


def conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> Layers:
    return Layers(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand (1x1), depth-wise 3x3, project (1x1, linear)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.shortcut = stride == 1 and inputs == outputs
        expand = [] if expansion == 1 else [conv_bn_relu(inputs, hidden, 1)]
        self.conv = Layers(
            *expand,
            conv_bn_relu(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 features 0-13: (B, in_channels, H, W) -> features at strides 4, 8 and 16."""

    imagenet_ignored = (*(f"features.{number}." for number in range(14, 19)), "classifier.")

    def __init__(self, in_channels: int = 3, width: float = 1.0) -> None:
        super().__init__()
        inputs = divisible(32 * width)
        layers: list[nn.Module] = [conv_bn_relu(in_channels, inputs, 3, 2)]
        ends = []
        for expansion, channels, repeats, first_stride in SETTINGS:
            outputs = divisible(channels * width)
            for i in range(repeats):
                layers.append(InvertedResidual(inputs, outputs, first_stride if i == 0 else 1, expansion))
                inputs = outputs
            ends.append((len(layers), outputs))
        self.features = nn.Sequential(*layers)
        (self._f4, c4), (self._f8, c8), (self._f16, c16) = ends[1], ends[2], ends[4]
        self.channels: tuple[int, ...] = (c4, c8, c16)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        f4 = self.features[: self._f4](x)
        f8 = self.features[self._f4 : self._f8](f4)
        return f4, f8, self.features[self._f8 : self._f16](f8)
