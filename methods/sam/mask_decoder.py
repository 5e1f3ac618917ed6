"""SAM's mask decoder: tokens ask the image for masks, and say how good each of them is."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.sam.layers import LayerNorm2d
from methods.sam.transformer import TwoWayTransformer

MASKS = 3  # for a prompt that may mean several things: the whole, a part, a part of it


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
        tokens = torch.cat([own.expand(len(prompts), -1, -1), prompts], 1)
        seen = (image + prompt_map).expand(len(prompts), -1, -1, -1)
        size = seen.shape[2:]
        places = image_places.flatten(2).transpose(1, 2)
        tokens, seen = self.transformer(tokens, seen.flatten(2).transpose(1, 2), places)
        pixels = self.output_upscaling(seen.transpose(1, 2).unflatten(2, size))
        wanted = range(1, MASKS + 1) if multimask else range(1)
        kernels = torch.stack([self.output_hypernetworks_mlps[i](tokens[:, 1 + i]) for i in wanted], 1)
        masks = (kernels @ pixels.flatten(2)).unflatten(2, pixels.shape[2:])
        return masks, self.iou_prediction_head(tokens[:, 0])[:, wanted.start : wanted.stop]
