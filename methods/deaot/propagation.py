"""The gated propagation modules: a visual and an identification branch that share their attention."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import as_map, chain, tokens
from methods.deaot.attention import Attentions, LongTermPropagation, SelfPropagation, ShortTermPropagation, xavier_
from methods.noise import Drop


class Memory(NamedTuple):
    """What one layer remembers of T frames, laid one below the other.

    key: (B, C / 2, T H, W); value: (B, 4 C, T H, W), the visual and the identification value.
    """

    key: Tensor
    value: Tensor

    def frames(self, height: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Keys and values of every frame, maps of `height` rows each; nothing is copied."""
        return self.key.split(height, 2), self.value.split(height, 2)

    def then(self, later: "Memory") -> "Memory":
        """These frames and the later ones."""
        return Memory(torch.cat([self.key, later.key], 2), torch.cat([self.value, later.value], 2))


class Own(NamedTuple):
    """A frame inside one layer, before it is known who is where. Tokens (B, H W, channels).

    key: the query too; value: visual; gate: of both branches; identity: normalised, None in the first layer.
    """

    key: Tensor
    value: Tensor
    gate: Tensor
    identity: Tensor | None


class GatedPropagationModule(nn.Module):
    """One layer. channels: of each branch; `first` has no identification branch at its input."""

    def __init__(self, channels: int, first: bool, drop: float, attentions: Attentions) -> None:
        super().__init__()
        key, value, both = channels // 2, 2 * channels, 2 * channels
        self.split = [key, value]
        self.norm1 = nn.LayerNorm(channels)
        self.linear_QV = nn.Linear(channels, key + value)
        self.linear_U = nn.Linear(channels, value)
        self.id_norm1 = None if first else nn.LayerNorm(channels)
        self.linear_ID_V = nn.Linear(channels if first else both, value)
        self.linear_ID_U = None if first else nn.Linear(channels, value)
        xavier_(self)
        self.long_term_attn = LongTermPropagation(key, 2 * value, both, drop, attentions.long_term)
        self.short_term_attn = ShortTermPropagation(key, 2 * value, both, drop)
        self.norm2 = nn.LayerNorm(channels)
        self.id_norm2 = nn.LayerNorm(channels)
        self.self_attn = SelfPropagation(channels, key, drop, attentions.within)
        self.drop_path = Drop(drop, axes=1)

    def project(self, visual: Tensor, identity: Tensor | None) -> Own:
        """Tokens (B, H W, C) of both branches -> what this frame asks with and can be remembered by."""
        x = self.norm1(visual)
        key, value = self.linear_QV(x).split(self.split, -1)
        gate = F.silu(self.linear_U(x))
        if self.id_norm1 is None or self.linear_ID_U is None:
            return Own(key, F.silu(value), torch.cat([gate, torch.ones_like(gate)], -1), None)
        y = self.id_norm1(identity)
        return Own(key, F.silu(value), torch.cat([gate, F.silu(self.linear_ID_U(y))], -1), y)

    def write(self, own: Own, id_embedding: Tensor) -> Memory:
        """The frame with its objects, id_embedding (B, C, H, W), as a memory of one frame."""
        size = id_embedding.shape[2:]
        x = tokens(id_embedding)
        x = x if own.identity is None else torch.cat([own.identity, x], -1)
        value = torch.cat([own.value, F.silu(self.linear_ID_V(x))], -1)
        return Memory(as_map(own.key, size), as_map(value, size))

    def read(
        self,
        own: Own,
        visual: Tensor,
        identity: Tensor | None,
        long_term: Memory,
        short_term: Memory,
        size: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """Propagate from both memories, then inside the frame -> tokens (B, H W, C) of both branches."""
        query, gate = as_map(own.key, size), as_map(own.gate, size)
        read = self.long_term_attn(query, *long_term.frames(size[0]), gate)
        read = read + self.short_term_attn(query, short_term.key, short_term.value, gate)
        to_visual, to_identity = read.chunk(2, -1)
        visual = visual + to_visual
        identity = to_identity if identity is None else identity + to_identity
        read = self.self_attn(self.norm2(visual), self.id_norm2(identity), size)
        to_visual, to_identity = read.chunk(2, -1)
        return visual + self.drop_path(to_visual), identity + self.drop_path(to_identity)


class DualBranchGPM(nn.Module):
    """The layers one after the other (LSTT in the official key names)."""

    layers: Any  # of `GatedPropagationModule`s

    def __init__(self, layers: int, channels: int, drop: float, attentions: Attentions) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            GatedPropagationModule(channels, i == 0, drop, attentions) for i in range(layers)
        )
        self.decoder_norms = nn.ModuleList([chain(gn=nn.GroupNorm(2, 2 * channels))])  # one group a branch

    @torch.no_grad()
    def sharpen_keys(self, gain: float = 2.0) -> None:
        """Start with keys that tell pixels apart, so that a pixel finds itself before anything is learnt.

        Ours, for networks that start from nothing: from the official start they see little of the memory for
        hundreds of steps.
        """
        for layer in self.layers:
            nn.init.orthogonal_(layer.linear_QV.weight[: layer.split[0]], gain)

    def propagate(
        self, top: Tensor, long_term: tuple[Memory, ...], short_term: tuple[Memory, ...]
    ) -> tuple[Tensor, tuple[Own, ...]]:
        """top (B, C, H, W) and a memory for each layer -> (B, 2 C, H, W), and the frame inside each layer."""
        size, visual = top.shape[2:], tokens(top)
        identity: Any = None  # before the first layer
        owns = []
        for layer, far, near in zip(self.layers, long_term, short_term, strict=True):
            owns.append(layer.project(visual, identity))
            visual, identity = layer.read(owns[-1], visual, identity, far, near, size)
        return self.decoder_norms[0](as_map(torch.cat([visual, identity], -1), size)), tuple(owns)

    def reference(self, top: Tensor, id_embedding: Tensor) -> tuple[Memory, ...]:
        """An annotated frame as a memory for each layer: it propagates from itself.

        What would come out of the last layer is not needed, so it only writes.
        """
        size, (visual, identity) = top.shape[2:], (tokens(top), None)
        memories = []
        for layer in self.layers:
            own = layer.project(visual, identity)
            memories.append(layer.write(own, id_embedding))
            if layer is not self.layers[-1]:
                visual, identity = layer.read(own, visual, identity, memories[-1], memories[-1], size)
        return tuple(memories)
