"""Small layers and the window cut that SAM's encoders and decoder share; attribute names are the official ones."""

import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import chain


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def mlp(channels: int, hidden: int, activation: nn.Module) -> nn.Sequential:
    """Two linear layers with an activation between them."""
    return chain(lin1=nn.Linear(channels, hidden), act=activation, lin2=nn.Linear(hidden, channels))


def neck(inputs: int, outputs: int) -> nn.Sequential:
    """What every encoder ends with: from its channels to the image embedding's."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1, bias=False),
        LayerNorm2d(outputs),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        LayerNorm2d(outputs),
    )


def split_windows(x: Tensor, side: int) -> Tensor:
    """(B, H, W, C) -> (B n, side, side, C), row by row; zeros fill the last windows below and to the right."""
    x = F.pad(x, (0, 0, 0, -x.shape[2] % side, 0, -x.shape[1] % side))
    return x.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3).flatten(0, 2)


def join_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Undo `split_windows`: (B n, side, side, C) -> (B, height, width, C)."""
    side = windows.shape[1]
    rows, columns = -(-height // side), -(-width // side)
    x = windows.unflatten(0, (-1, rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return x[:, :height, :width]
