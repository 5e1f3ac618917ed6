"""Gated propagation (Yang and Yang, DeAOT, NeurIPS 2022, section 4.2): attention, gate, depth-wise convolution.

    GP(U, Q, K, V) = F_dw(U * softmax(Q K^T / sqrt d) V) W,   U already through SiLU.

Maps are (B, C, H, W), tokens (B, H W, C). A map seen as tokens and tokens seen as a map in channels_last are the
same memory, so that nothing is copied on the way.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import as_map, chain, tokens
from methods.deaot.deformable import DeformableAttention
from methods.deaot.window import window_readout, window_scores
from methods.errors import MethodError
from methods.noise import Drop

RADIUS = 7  # of the short-term window: 15 x 15
Attention = Callable[[int], nn.Module]
REPLACED = {"long_term": ("long_term",), "self": ("self",), "both": ("long_term", "self")}


class GlobalAttention(nn.Module):
    """Every pixel of the query attends to every pixel of all memory frames.

    Any module of this interface can take its place (see `attentions`). `weights` is a module of its own
    for forward hooks: its output (B, H W, frames H W) is the attention map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Softmax(dim=-1)

    def forward(
        self, query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], gate: Tensor | None = None
    ) -> Tensor:
        """query (B, Ck, H, W), one key (B, Ck, H, W) and value (B, Cv, H, W) a memory frame -> (B, Cv, H, W).

        gate: (B, Cv, H, W), multiplied as it is; None is no gate.
        """
        key, value = _joined(keys), _joined(values)
        scores = tokens(query) / math.sqrt(query.shape[1]) @ key.flatten(2)
        read = as_map(self.weights(scores) @ tokens(value), query.shape[2:])
        return read if gate is None else read * gate


class Attentions(NamedTuple):
    """What builds the exchangeable attentions of a layer from the channels of their keys."""

    long_term: Attention
    within: Attention  # of a frame to itself


def attentions(name: str, replaced: str = "long_term", groups: int = 4, factor: int = 2) -> Attentions:
    """name: "vanilla" or "deformable", which then stands for the `replaced` one: long_term, self or both.

    groups, factor: of the deformable attention, see `methods.deaot.deformable.DeformableAttention`.
    The paper does not say which attention it replaces. Ours, long_term: it is the one whose cost grows with the
    memory, and whose map is distilled. The short-term one looks at a window already.
    Raises MethodError for another name.
    """
    made = {
        "vanilla": lambda channels: GlobalAttention(),
        "deformable": lambda channels: DeformableAttention(channels, groups, factor, branches=2),
    }
    if name not in made:
        raise MethodError(f"unknown attention '{name}'; known: {', '.join(made)}")
    if replaced not in REPLACED:
        raise MethodError(f"unknown attention_replaced '{replaced}'; known: {', '.join(REPLACED)}")
    return Attentions(*(made[name if part in REPLACED[replaced] else "vanilla"] for part in REPLACED["both"]))


class Propagation(nn.Module):
    """What follows every gated attention: (B, inputs, H, W) -> tokens (B, H W, outputs)."""

    def __init__(self, inputs: int, outputs: int, drop: float) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, inputs, 5, padding=2, groups=inputs, bias=False)
        self.dw_conv = chain(conv=conv, dropout=Drop(drop, axes=2))  # of whole channels
        self.projection = nn.Linear(inputs, outputs)

    def mix(self, gated: Tensor) -> Tensor:
        return self.projection(tokens(self.dw_conv(gated)))


class LongTermPropagation(Propagation):
    """Reads the long-term memory through an exchangeable attention."""

    def __init__(self, key: int, inputs: int, outputs: int, drop: float, attention: Attention) -> None:
        super().__init__(inputs, outputs, drop)
        xavier_(self)
        self.attention = attention(key)  # after the initialisation: it has its own

    def forward(self, query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], gate: Tensor) -> Tensor:
        """As `GlobalAttention.forward`, then mixed: tokens (B, H W, outputs)."""
        return self.mix(self.attention(query, keys, values, gate))


class ShortTermPropagation(Propagation):
    """Reads the window around every pixel in one frame, with a learnt bias for every offset.

    `weights` outputs the attention (B, H W, 225), offset by offset.
    """

    def __init__(self, key: int, inputs: int, outputs: int, drop: float) -> None:
        super().__init__(inputs, outputs, drop)
        self.relative_emb_k = nn.Conv2d(key, (2 * RADIUS + 1) ** 2, 1)
        self.weights = nn.Softmax(dim=-1)
        xavier_(self)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, gate: Tensor) -> Tensor:
        """Maps of one frame each -> tokens (B, H W, outputs)."""
        bias = tokens(self.relative_emb_k(query))
        scores = window_scores(query / math.sqrt(query.shape[1]), key, RADIUS) + bias
        read = window_readout(self.weights(scores), value, RADIUS)
        return self.mix(as_map(read, query.shape[2:]) * gate)


class SelfPropagation(Propagation):
    """A frame reads itself: the two branches have weights of their own, and one attention."""

    def __init__(self, channels: int, key: int, drop: float, attention: Attention) -> None:
        """channels: of one branch."""
        super().__init__(4 * channels, 2 * channels, drop)
        self.linear_QK = nn.Linear(2 * channels, key)
        each = (nn.Linear(channels, 2 * channels) for _ in range(4))
        self.linear_V1, self.linear_V2, self.linear_U1, self.linear_U2 = each
        xavier_(self)
        self.attention = attention(key)  # after the initialisation: it has its own

    def forward(self, visual: Tensor, identity: Tensor, size: tuple[int, int]) -> Tensor:
        """Tokens (B, H W, C) of both branches -> (B, H W, 2 C)."""
        key = as_map(self.linear_QK(torch.cat([visual, identity], -1)), size)
        value = F.silu(torch.cat([self.linear_V1(visual), self.linear_V2(identity)], -1))
        gate = F.silu(torch.cat([self.linear_U1(visual), self.linear_U2(identity)], -1))
        return self.mix(self.attention(key, [key], [as_map(value, size)], as_map(gate, size)))


def xavier_(module: nn.Module) -> None:
    """Xavier initialisation of every matrix and kernel, as the official code has it."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)


def _joined(frames: Sequence[Tensor]) -> Tensor:
    """Maps (B, C, H, W) -> (B, C, frames H, W); one alone is not copied."""
    return frames[0] if len(frames) == 1 else torch.cat(list(frames), 2)
