"""Batch normalisation whose statistics stay as loaded (as in Detectron2 and AOT)."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_joined: ContextVar[dict | None] = ContextVar("joined", default=None)  # in inference: what was joined so far


class FrozenBatchNorm2d(nn.Module):
    """A BatchNorm2d in eval mode for good: weight, bias, mean and variance are buffers."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


@contextmanager
def joined_norms() -> Iterator[None]:
    """In it inference takes `conv_norm`'s short way, too, with the weights of each convolution's first call.

    Not where weights change, or where calls of modules are counted or recorded.
    """
    token = _joined.set({})
    try:
        yield
    finally:
        _joined.reset(token)


def conv_norm(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """`norm(conv(x))`; in training, with a norm whose statistics stay, as one convolution.

    That spares two passes over the activations forward and more backward. The gradients are those of both modules.
    """
    known = _joined.get()
    fixed = not norm.training or isinstance(norm, FrozenBatchNorm2d)
    if not fixed or (known is None and not conv.training):
        return norm(conv(x))
    if known is None:
        weight, shift = _join(conv, norm)
    else:
        if conv not in known:
            known[conv] = _join(conv, norm)
        weight, shift = known[conv]
    shape: Any = (conv.stride, conv.padding, conv.dilation, conv.groups)
    if x.device.type == "cpu" and conv.groups > 1 and max(conv.stride) > 1:
        # oneDNN has no fast backward pass of these in bf16: 34 ms against 6 for 6x96x80x80
        with torch.autocast("cpu", enabled=False):
            return F.conv2d(x.to(weight.dtype), weight, shift, *shape)
    return F.conv2d(x, weight, shift, *shape)


def _join(conv: nn.Conv2d, norm: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    shift = norm.bias - norm.running_mean * scale
    if conv.bias is not None:
        shift = shift + conv.bias * scale
    return conv.weight * scale.view(-1, 1, 1, 1), shift


def freeze_norms(module: nn.Module) -> None:
    """Put a new frozen norm in the place of every BatchNorm2d inside `module`; key names stay."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, child.eps))
        else:
            freeze_norms(child)
