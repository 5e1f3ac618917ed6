"""Gated deformable attention: a query decides at which points of the memory its keys and values are read.

Source: "Self-supervised VOS with Distillation Learning of Deformable Attention" (Truong et al., arXiv
2401.13937), equations 3 to 7. It leaves open the kernel of the offset network, its range, the number of groups,
and the reduction of the grid: these are ours, after DAT (Xia et al., CVPR 2022 and its official code).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from methods.blocks import as_map, tokens
from methods.errors import MethodError

# Rows int64 (B M S,) of the pixels' groups of channels, bilinear weights (B M S, 1)
Tap = tuple[Tensor, Tensor]


class OffsetNetwork(nn.Sequential):
    """Query channels (N, C, H, W) -> offsets (N, 2, ceil(H / g), ceil(W / g)), (y, x) in halves of the map.

    Two convolutions with a GELU between (the paper). As DAT: the first is depth-wise with stride g and kernel
    2 ceil(log2 g) + 3, which gives DAT's 3, 5, 7, 9 for g = 1, 2, 4, 8; the second is 1x1 without bias. Ours:
    no layer norm between them, since the paper names none, and the last layer starts at zero, so that a network
    starts on the regular grid. (Initialise the network around it before, not after.)
    """

    def __init__(self, channels: int, factor: int) -> None:
        kernel = 2 * math.ceil(math.log2(factor)) + 3
        super().__init__(
            nn.Conv2d(channels, channels, kernel, factor, kernel // 2, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, 2, 1, bias=False),
        )
        nn.init.zeros_(self.get_parameter("2.weight"))


class DeformableSampler(nn.Module):
    """Reads maps at a grid of points that the query moves, each group of channels at its own points.

    channels: of the query, split into `groups` S that share one offset network.
    factor: g; the grid has ceil(H / g) x ceil(W / g) points (ours: the paper's H / g, with no row lost), spread
    evenly from the first pixel to the last as in DAT's paper. With g = 1 they are the pixels themselves.
    The offsets are in halves of the map (DAT's configs). The points stay inside the map.
    Raises MethodError where the channels do not divide into the groups, or factor is below 1.
    """

    def __init__(self, channels: int, groups: int = 4, factor: int = 2) -> None:
        super().__init__()
        if channels % groups or factor < 1:
            raise MethodError(
                f"deformable attention: {channels} channels, {groups} groups, factor {factor}: give groups that "
                f"divide the channels, and a factor of 1 or more"
            )
        self.groups = groups
        self.offsets = OffsetNetwork(channels // groups, factor)

    def forward(self, query: Tensor, maps: Sequence[Tensor]) -> list[Tensor]:
        """query (B, Cq, H, W), maps (B, C, H, W) each -> each (B, C, Hg, Wg).

        Group s of a map's channels is read at the points of group s of the query's. Equation 3 sums over the
        reduced grid; here over the pixels of the map, as it must. Raises MethodError for a map of another size,
        or whose channels do not divide into the groups.
        """
        positions = self.positions(query)
        batch, _, height, width = query.shape
        # Points before groups: the order of the channels of one pixel, so that a group is a row in memory.
        y, x = (p.reshape(batch, self.groups, -1).transpose(1, 2) for p in positions.unbind(1))
        taps = [(row, weight.to(query.dtype)) for row, weight in bilinear_taps(y, x, height, width)]
        for each in maps:
            if each.shape[-2:] != query.shape[-2:] or each.shape[1] % self.groups:
                raise MethodError(
                    f"deformable attention: cannot sample a map {tuple(each.shape)} in {self.groups} groups at the "
                    f"points of a query {tuple(query.shape)}: give maps of its size, channels a multiple of groups"
                )
        return [as_map(gather(each, taps, self.groups), positions.shape[-2:]) for each in maps]

    def positions(self, query: Tensor) -> Tensor:
        """query (B, Cq, H, W) -> points (B S, 2, Hg, Wg): y in [0, H - 1] and x in [0, W - 1], in pixels.

        At least float32 whatever the query's type, since half precision cannot tell far pixels apart.
        """
        batch, channels, height, width = query.shape
        offsets = self.offsets(query.reshape(batch * self.groups, channels // self.groups, height, width))
        offsets = offsets.to(torch.promote_types(offsets.dtype, torch.float32))
        rows, columns = offsets.shape[-2:]
        y, x = offsets.unbind(1)
        y = _grid(height, rows, y)[:, None] + y * ((height - 1) / 2)
        x = _grid(width, columns, x) + x * ((width - 1) / 2)
        return torch.stack([y.clamp(0, height - 1), x.clamp(0, width - 1)], 1)


class DeformableAttention(nn.Module):
    """softmax(Q K~^T / sqrt d) V~ * gate over keys and values that are sampled where the query says (eqs 5-7).

    All memory frames are read at the same points, those of the current query. With factor 1 and offsets 0
    this is the attention of the whole maps, exactly.

    K~ and V~ are sampled after their projections. For linear projections (1x1 convolutions) that is what the
    paper writes, the projections of a sampled X~_s, where group s of K's channels is projected from X as seen at
    the points of group s: bilinear weights sum to 1, so the bias passes too. (With S > 1 it is not DAT's code,
    which splits X by channels and mixes the groups by the projection.) DeAOT's values went through SiLU: we
    sample what the memory stores, after SiLU, which differs from SiLU of sampled values between pixels only.

    channels: of Q and K. branches: equal parts of the values' channels that are split into groups each for
    itself; 2 for DeAOT's visual and identification values, so that both are read at all groups' points.
    `weights` is a module of its own for forward hooks: its output (B, H W, frames Hg Wg) is the attention map.
    """

    def __init__(self, channels: int, groups: int = 4, factor: int = 2, branches: int = 1) -> None:
        super().__init__()
        self.branches = branches
        self.sampler = DeformableSampler(channels, groups, factor)
        self.weights = nn.Softmax(dim=-1)

    def forward(
        self, query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], gate: Tensor | None = None
    ) -> Tensor:
        """query (B, Ck, H, W), one key (B, Ck, H, W) and value (B, Cv, H, W) a memory frame -> (B, Cv, H, W).

        gate: SiLU(U), (B, Cv, H, W), as it multiplies; not U, because the first layer of DeAOT gates the
        identification branch with ones. None is no gate.
        """
        parts = [part for value in values for part in value.chunk(self.branches, 1)]
        sampled = [tokens(each) for each in self.sampler(query, [*keys, *parts])]
        key, parts = torch.cat(sampled[: len(keys)], 1), sampled[len(keys) :]
        value = torch.cat([torch.cat(parts[i :: self.branches], 1) for i in range(self.branches)], 2)
        scores = tokens(query) / math.sqrt(query.shape[1]) @ key.transpose(1, 2)
        read = as_map(self.weights(scores) @ value, query.shape[2:])
        return read if gate is None else read * gate


def bilinear_taps(y: Tensor, x: Tensor, height: int, width: int) -> list[Tap]:
    """Points in pixels, (B, M, S) each inside the map -> the four pixels around each, with their weights."""
    batch, _, groups = y.shape
    (top, bottom, down), (left, right, across) = _between(y, height), _between(x, width)
    corners = [
        (top, left, (1 - down) * (1 - across)),
        (top, right, (1 - down) * across),
        (bottom, left, down * (1 - across)),
        (bottom, right, down * across),
    ]
    first = torch.arange(batch, device=y.device)[:, None, None] * (height * width * groups)
    first = first + torch.arange(groups, device=y.device)
    return [
        (((row * width + column) * groups + first).flatten(), weight.reshape(-1, 1))
        for row, column, weight in corners
    ]


def gather(maps: Tensor, taps: list[Tap], groups: int = 1) -> Tensor:
    """maps (B, C, H, W) at the taps of S groups -> (B, M, C).

    F.grid_sample(align_corners=True) in plainer operators; maps in channels_last are read without a copy.
    """
    batch, channels = maps.shape[:2]
    rows = tokens(maps).reshape(-1, channels // groups)
    a, b, c, d = (rows.index_select(0, row) * weight for row, weight in taps)
    return (a + b + c + d).reshape(batch, -1, channels)


def _between(position: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels before and after a position, and how far it is from the first to the second, in [0, 1].

    The last pixel is the end of the last gap, not the start of one: there is a slope to learn from there too.
    """
    # Clamped as whole numbers: where training diverged to NaN, an index out of range would crash a GPU.
    before = position.detach().floor().long().clamp(0, max(length - 2, 0))
    after = (before + 1).clamp(max=length - 1)
    return before, after, position - before


def _grid(length: int, count: int, like: Tensor) -> Tensor:
    """`count` positions spread evenly over 0..length - 1, both ends included; a single one is the middle."""
    if count == 1:
        return like.new_full((1,), (length - 1) / 2)
    # Dividing last keeps whole numbers, and the end, exact.
    return torch.arange(count, dtype=like.dtype, device=like.device) * (length - 1) / (count - 1)
