"""Decoupled distillation: another method's encoder in place of a network's own, and all else taken over.

MobileSAM (Zhang et al., arXiv 2306.14289, section 3.2) distils the image encoder alone and keeps the teacher's
decoder. For a network with a memory this is ours: the student's encoder imitates the teacher's features of frames
and the keys made of them; the memory, its encoder and the decoder are the teacher's.
"""

from typing import Any

import torch
from torch import Tensor, nn

import methods
from methods.checkpoint import load_strictly
from methods.errors import MethodError
from methods.memory import Query


class BorrowedEncoder(nn.Module):
    """The encoder of `method`, whose features 1x1 convolutions bring to the `channels` at strides 4, 8 and 16.

    Raises MethodError for a method that is no space-time network.
    """

    def __init__(self, method: str, width: float, channels: tuple[int, int, int]) -> None:
        super().__init__()
        lender: Any = methods.create(method, width=width)
        if not hasattr(lender, "encoder_backbone"):
            raise MethodError(
                f"encoder={method}: {method} has no encoder to lend; name stcn or a MobileVOS student"
            )
        self.channels, self.backbone = channels, lender.encoder_backbone
        self.encoder = getattr(lender, lender.encoder_name)
        pairs = zip(self.encoder.channels, channels, strict=True)
        self.adapters = nn.ModuleList(nn.Conv2d(own, wanted, 1) for own, wanted in pairs)

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        features = self.encoder(frames)
        return tuple(adapt(feature) for adapt, feature in zip(self.adapters, features, strict=True))


def borrowed(method: str | None, width: float, own: Any) -> Any:
    """The encoder of `method`, of this width, in place of one's own; that itself for None."""
    return own if method is None else BorrowedEncoder(method, width, own.channels)


def imitation_loss(student: Query, teacher: Query) -> Tensor:
    """Mean over frames, and over keys and features, of their MSE as a share of the variance of the teacher's."""
    parts = []
    for pair in zip(student, teacher, strict=True):
        own, wanted = (each.float().flatten(1) for each in pair)
        parts.append(((own - wanted) ** 2).mean(1) / wanted.var(1).clamp(min=1e-6))
    return torch.stack(parts).mean()


def rest_of(method: nn.Module) -> dict[str, nn.Module]:
    """The parts of a network that are not its encoder, by name."""
    return {name: part for name, part in method.named_children() if name != method.encoder_name}


def take_over(student: nn.Module, teacher: nn.Module) -> None:
    """Copy the teacher's weights into every part of the student but its encoder.

    Raises MethodError, which names what does not fit, where the two have parts or sizes of their own.
    """
    own, given = rest_of(student), rest_of(teacher)
    try:
        load_strictly(nn.ModuleDict(own), nn.ModuleDict(given).state_dict(), "what the teacher hands on")
    except MethodError as error:
        text = f"a {type(student).__name__} cannot take over all but the encoder of a {type(teacher).__name__}"
        raise MethodError(f"{text}: {error}; give both the same sizes") from None
