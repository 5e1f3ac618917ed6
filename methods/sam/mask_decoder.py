"""SAM's mask decoder: tokens ask the image for masks, and say how good each of them is.

Its two-way transformer lets prompt tokens and image tokens attend to each other.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import as_map, tokens
from methods.sam.layers import LayerNorm2d, mlp

MASKS = 3  # for a prompt that may mean several things: the whole, a part, a part of it
HEADS = 8


class Attention(nn.Module):
    """Multi-head attention whose inner channels are `inner`: queries (B, N, C), keys and values (B, M, C)."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(channels, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, channels)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        projected = (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        q, k, v = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in projected)
        weights = ((q @ k.transpose(2, 3)) * q.shape[-1] ** -0.5).softmax(-1)
        return self.out_proj((weights @ v).transpose(1, 2).flatten(2))


class TwoWayAttentionBlock(nn.Module):
    """Tokens look at themselves, then at the image, pass an MLP, and the image looks at them.

    first: then the tokens are their own positions, and attention to themselves replaces them.
    """

    def __init__(self, channels: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(channels, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, channels // 2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = mlp(channels, 8 * channels, nn.ReLU())
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, channels // 2)

    def forward(
        self, tokens: Tensor, image: Tensor, token_places: Tensor, image_places: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + token_places
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        placed_image = image + image_places
        tokens = tokens + self.cross_attn_token_to_image(tokens + token_places, placed_image, image)
        tokens = self.norm2(tokens)
        tokens = self.norm3(tokens + self.mlp(tokens))
        seen = self.cross_attn_image_to_token(placed_image, tokens + token_places, tokens)
        return tokens, self.norm4(image + seen)


class TwoWayTransformer(nn.Module):
    """Tokens (P, N, C), image (P, H W, C) and its positions (1, H W, C) -> both after two blocks."""

    def __init__(self, channels: int, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayAttentionBlock(channels, first=i == 0) for i in range(layers))
        self.final_attn_token_to_image = Attention(channels, channels // 2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, image: Tensor, image_places: Tensor) -> tuple[Tensor, Tensor]:
        places = tokens
        for layer in self.layers:
            tokens, image = layer(tokens, image, places, image_places)
        seen = self.final_attn_token_to_image(tokens + places, image + image_places, image)
        return self.norm_final_attn(tokens + seen), image


class MLP(nn.Module):
    """Three linear layers with ReLU between them."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(channels, n) for n in (channels, channels, outputs))

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x)))))


class MaskDecoder(nn.Module):
    """channels: of the image embedding and the tokens, a multiple of 16."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels)
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(MASKS + 1, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, 2, 2),
            LayerNorm2d(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(channels, channels // 8) for _ in range(MASKS + 1))
        self.iou_prediction_head = MLP(channels, MASKS + 1)

    def forward(
        self, image: Tensor, image_places: Tensor, prompts: Tensor, prompt_map: Tensor, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Embedding (P or 1, C, h, w), its positions (1, C, h, w), tokens (P, N, C), map (P or 1, C, h, w) ->
        logits (P, M, 4 h, 4 w) and predicted IoUs (P, M); M is 3 with `multimask`, else 1.
        """
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        asking = torch.cat([own.expand(len(prompts), -1, -1), prompts], 1)
        seen = (image + prompt_map).expand(len(prompts), -1, -1, -1)
        asking, answered = self.transformer(asking, tokens(seen), tokens(image_places))
        pixels = self.output_upscaling(as_map(answered, seen.shape[2:]))
        wanted = range(1, MASKS + 1) if multimask else range(1)
        kernels = torch.stack([self.output_hypernetworks_mlps[i](asking[:, 1 + i]) for i in wanted], 1)
        masks = (kernels @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])
        return masks, self.iou_prediction_head(asking[:, 0])[:, wanted.start : wanted.stop]
