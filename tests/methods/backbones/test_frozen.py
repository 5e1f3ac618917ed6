"""A convolution joined with the batch norm after it, against the two modules."""

import pytest
import torch
from torch import nn

from methods.backbones.frozen import FrozenBatchNorm2d, conv_norm, joined_norms
from methods.backbones.mobilenet import MobileNetV2
from methods.backbones.resnet import ResNet18


def norm_of(kind: type, channels: int) -> nn.Module:
    norm = kind(channels).double()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    return norm.eval() if kind is nn.BatchNorm2d else norm


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, FrozenBatchNorm2d])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1, bias=False),
        nn.Conv2d(4, 6, 1, stride=2),
        nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=4, bias=False),
    ],
    ids=["3x3", "1x1 with a bias", "depth-wise"],
)
def test_one_convolution_equals_the_two_modules(conv, kind):
    torch.manual_seed(0)
    conv, norm = conv.double(), norm_of(kind, conv.out_channels)
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64, requires_grad=True)
    learnt = [x, *conv.parameters(), *norm.parameters()]

    def gradients(y):
        return torch.autograd.grad(y.sin().sum(), learnt)

    apart, joined = norm(conv(x)), conv_norm(conv, norm, x)
    torch.testing.assert_close(joined, apart, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients(joined), gradients(apart), rtol=0, atol=1e-11)


@pytest.mark.parametrize("backbone", [MobileNetV2, ResNet18])
def test_norms_that_learn_their_statistics_still_do(backbone):
    torch.manual_seed(0)
    network = backbone(width=0.25).train()
    network(torch.rand(2, 3, 32, 32))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms and all(norm.num_batches_tracked == 1 and norm.running_mean.any() for norm in norms)


@pytest.mark.parametrize("backbone", [MobileNetV2, ResNet18])
def test_with_fixed_norms_training_computes_what_inference_does(backbone):
    torch.manual_seed(0)
    network = backbone(width=0.25).double().train()
    network(torch.rand(2, 3, 32, 32).double())  # statistics of its own
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    frames = torch.rand(2, 3, 32, 32).double()
    for joined, apart in zip(network(frames), network.eval()(frames), strict=True):
        torch.testing.assert_close(joined, apart, rtol=0, atol=1e-12)


def test_inference_is_joined_where_it_is_asked_for():
    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    conv.eval(), norm.eval()
    called = []
    norm.register_forward_hook(lambda *_: called.append("norm"))
    x = torch.rand(1, 3, 8, 8)
    with joined_norms():
        joined = conv_norm(conv, norm, x)
    assert not called
    torch.testing.assert_close(conv_norm(conv, norm, x), joined, rtol=0, atol=1e-6)
    assert called == ["norm"]
