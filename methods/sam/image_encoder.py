"""SAM's image encoder: a ViT whose blocks attend inside windows, but for four that see the whole image.

Kirillov et al.: Segment Anything, ICCV 2023; the backbone is that of Li et al., ViTDet, ECCV 2022.
"""

import torch
from torch import Tensor, nn

from methods.blocks import chain
from methods.sam.layers import join_windows, mlp, neck, split_windows

PATCH = 16
WINDOW = 14
GLOBAL_BLOCKS = 4  # the last one of every quarter of the blocks


class Attention(nn.Module):
    """Multi-head attention over (B, H, W, C) with learnt relative positions, the rows' and the columns' added up.

    span: the sides of the maps that it gets.
    """

    def __init__(self, channels: int, heads: int, span: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * span - 1, channels // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * span - 1, channels // heads))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[1:3]
        q, k, v = self.qkv(x).flatten(1, 2).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
        grid = q.unflatten(2, size)
        from_rows = torch.einsum("bnhwc,hkc->bnhwk", grid, _by_distance(self.rel_pos_h))
        from_columns = torch.einsum("bnhwc,wkc->bnhwk", grid, _by_distance(self.rel_pos_w))
        # In place: over the whole image the logits are the largest tensor by far.
        paired = logits.unflatten(3, size).unflatten(2, size)
        paired += from_rows.unsqueeze(-1)
        paired += from_columns.unsqueeze(-2)
        x = logits.softmax(-1) @ v
        return self.proj(x.transpose(1, 2).flatten(2).unflatten(1, size))


def _by_distance(table: Tensor) -> Tensor:
    """(2 n - 1, C) entries by distance -> (n, n, C) by query and key place."""
    places = torch.arange((len(table) + 1) // 2, device=table.device)
    return table[places[:, None] - places + len(places) - 1]


class Block(nn.Module):
    """Attention and MLP, both on normalised input and with a shortcut. window: 0 attends to the whole map."""

    def __init__(self, channels: int, heads: int, window: int, grid: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, heads, window or grid)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = mlp(channels, 4 * channels, nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        seen = self.norm1(x)
        if self.window:
            seen = join_windows(self.attn(split_windows(seen, self.window)), *x.shape[1:3])
        else:
            seen = self.attn(seen)
        x = x + seen
        return x + self.mlp(self.norm2(x))


class ImageEncoderViT(nn.Module):
    """Normalised images (B, 3, S, S) with S = `image_size` -> embeddings (B, `outputs`, S / 16, S / 16)."""

    def __init__(self, channels: int, blocks: int, heads: int, image_size: int, outputs: int) -> None:
        super().__init__()
        grid, quarter = image_size // PATCH, blocks // GLOBAL_BLOCKS
        self.patch_embed = chain(proj=nn.Conv2d(3, channels, PATCH, PATCH))
        self.pos_embed = nn.Parameter(torch.zeros(1, grid, grid, channels))
        nn.init.normal_(self.pos_embed, std=0.02)
        windows = (0 if i % quarter == quarter - 1 else WINDOW for i in range(blocks))
        self.blocks = nn.Sequential(*(Block(channels, heads, window, grid) for window in windows))
        self.neck = neck(channels, outputs)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed(images).permute(0, 2, 3, 1) + self.pos_embed
        return self.neck(self.blocks(x).permute(0, 3, 1, 2))
