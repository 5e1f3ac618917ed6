"""SAM's prompt encoder: points and boxes as tokens, a mask as a map that is added to the image embedding."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from methods.sam.layers import LayerNorm2d

MASK_CHANNELS = 16
NOT_A_POINT, BACKGROUND, FOREGROUND = -1, 0, 1  # labels of points


class PositionEmbeddingRandom(nn.Module):
    """Sines and cosines of random projections of a place (Tancik et al., Fourier Features, NeurIPS 2020)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, channels // 2))

    def forward(self, places: Tensor) -> Tensor:
        """Places (..., 2) as x, y in [0, 1] -> (..., C), C / 2 sines first."""
        angles = 2 * math.pi * ((2 * places - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], -1)


class PromptEncoder(nn.Module):
    """Prompts in pixels of the network's input, which is `image_size` on each side."""

    point_embeddings: Any

    def __init__(self, channels: int, image_size: int, grid: int) -> None:
        super().__init__()
        self.image_size, self.grid = image_size, grid
        self.pe_layer = PositionEmbeddingRandom(channels)
        # Background point, foreground point, a box's top left corner, its bottom right corner.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, MASK_CHANNELS // 4, 2, 2),
            LayerNorm2d(MASK_CHANNELS // 4),
            nn.GELU(),
            nn.Conv2d(MASK_CHANNELS // 4, MASK_CHANNELS, 2, 2),
            LayerNorm2d(MASK_CHANNELS),
            nn.GELU(),
            nn.Conv2d(MASK_CHANNELS, channels, 1),
        )
        self.no_mask_embed = nn.Embedding(1, channels)

    def forward(
        self, points: Tensor | None, labels: Tensor | None, boxes: Tensor | None, mask_logits: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """See `Sam.decode_masks` for the prompts -> tokens (P, N, C) and map (P or 1, C, h, w)."""
        tokens = []
        if points is not None and labels is not None:
            if boxes is None:  # the network has learnt with one point that is none, unless a box follows
                points = torch.cat([points, points.new_zeros(len(points), 1, 2)], 1)
                labels = torch.cat([labels, labels.new_full((len(labels), 1), NOT_A_POINT)], 1)
            tokens.append(self._embed_points(points, labels))
        if boxes is not None:
            corners = torch.stack([embedding.weight[0] for embedding in self.point_embeddings[2:]])
            tokens.append(self._positions(boxes.unflatten(1, (2, 2))) + corners)
        only = torch.zeros(1, dtype=torch.long, device=self.no_mask_embed.weight.device)
        if mask_logits is None:  # looked up, as FLOP counters stumble over a view of a parameter
            return torch.cat(tokens, 1), self.no_mask_embed(only)[:, :, None, None]
        if not tokens:
            tokens.append(self.no_mask_embed(only[:0]).expand(len(mask_logits), -1, -1))
        return torch.cat(tokens, 1), self.mask_downscaling(mask_logits)

    def image_positions(self) -> Tensor:
        """Encoded places of the image embedding's pixels: (1, C, h, w)."""
        centres = (torch.arange(self.grid, device=self.no_mask_embed.weight.device) + 0.5) / self.grid
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        return self.pe_layer(torch.stack([x, y], -1)).permute(2, 0, 1)[None]

    def _positions(self, points: Tensor) -> Tensor:
        return self.pe_layer((points + 0.5) / self.image_size)  # the centre of the pixel

    def _embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        kinds = torch.cat([each.weight for each in (self.not_a_point_embed, *self.point_embeddings[:2])])
        is_point = labels != NOT_A_POINT
        return self._positions(points) * is_point.unsqueeze(-1) + kinds[labels - NOT_A_POINT]
