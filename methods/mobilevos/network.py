"""The four MobileVOS students: a small matching network with a memory of fixed length.

Miles, Yucel, Manganelli, Saa-Garriga: MobileVOS, CVPR 2023. Published are the backbones, the finite memory
of two frames and the parameter counts (8.1 M with ResNet-18; 2.5 M and 1.9 M with MobileNetV2, with and
without ASPP). The layout of the heads is ours: STCN's, narrowed to those counts.
"""

from typing import Any

import torch
from torch import Tensor, nn

from methods.backbones.table import find_backbone
from methods.blocks import ASPP, ResBlock, SkipDecoder, chain, conv3x3, key_projection
from methods.borrowed import borrowed
from methods.errors import MethodError
from methods.memory import MemoryPolicy
from methods.space_time import SpaceTimeMethod

WRITE_RULES: dict[str, dict[str, Any]] = {
    "first+last": {"keep_first": True, "every": 1},
    "first+every": {"keep_first": True},
    "last": {"keep_first": False, "every": 1},
}


def queue_policy(queue_length: int | None, write_rule: str, memory_every: int) -> MemoryPolicy:
    """The memory of a student: at most `queue_length` frames (None: unbounded), filled by `write_rule`.

    first+last: the annotated frame and the latest ones; first+every: the annotated frame and the latest of
    every `memory_every`-th frame; last: only the latest. Raises MethodError for another rule.
    """
    if write_rule not in WRITE_RULES:
        raise MethodError(f"unknown write rule '{write_rule}'; known: {', '.join(WRITE_RULES)}")
    return MemoryPolicy(**{"every": memory_every, **WRITE_RULES[write_rule], "capacity": queue_length})


class MobileVOS(SpaceTimeMethod):
    """A student.

    backbone: a key of `BACKBONES` (methods/backbones/table.py); aspp: with the pyramid before the decoder.
    queue_length, write_rule, memory_every: see `queue_policy`; the paper's memory holds 2 frames (its write
    rule is not published: first + previous frame is the unofficial repository's).
    width: scales the channels; 1.0 is the published size, less is for small experiments.
    encoder, encoder_width: a method whose encoder, of this width, stands in for the own one (`BorrowedEncoder`).
    memory_drop: see `SpaceTimeMethod`. head_width: scales what comes after the backbones once more (for teachers).
    """

    encoder_name = "query_encoder"

    def __init__(
        self,
        backbone: str,
        aspp: bool,
        queue_length: int | None = 2,
        write_rule: str = "first+last",
        memory_every: int = 5,
        width: float = 1.0,
        encoder: str | None = None,
        encoder_width: float = 1.0,
        memory_drop: float = 0.0,
        head_width: float = 1.0,
    ) -> None:
        super().__init__(queue_policy(queue_length, write_rule, memory_every), None, memory_drop)
        own = find_backbone(backbone)
        heads = own.heads.scaled(width * head_width)
        self.encoder_backbone = backbone
        self.query_encoder = borrowed(encoder, encoder_width, own.build(3, width))
        self.memory_encoder = own.build(5, width)
        f4, f8, f16 = self.query_encoder.channels
        self.key_proj = key_projection(f16, heads.key)
        self.context_proj = conv3x3(f16, heads.value)
        self.fuser = chain(compress=nn.Conv2d(2 * f16, heads.value, 1), block=ResBlock(heads.value, heads.value))
        self.decoder = SkipDecoder(
            (f8, f4),
            heads.up8,
            heads.up4,
            compress=nn.Conv2d(2 * heads.value, heads.value, 1),
            aspp=ASPP(heads.value) if aspp else nn.Identity(),
            narrow=ResBlock(heads.value, heads.up8),
        )

    @property
    def own_backbones(self) -> dict[str, nn.Module]:
        return {self.encoder_backbone: nn.ModuleList([self.query_encoder, self.memory_encoder])}

    def project(self, f16: Tensor) -> tuple[Tensor, Tensor]:
        return self.key_proj(f16), self.context_proj(f16)

    def encode_memory(self, frames: Tensor, f16: Tensor, masks: Tensor, others: Tensor) -> Tensor:
        memory16 = self.memory_encoder(torch.cat([frames, masks[:, None], others[:, None]], 1))[-1]
        return self.fuser(torch.cat([memory16, f16], 1))
