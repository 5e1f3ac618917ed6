"""SAM as a network: an image encoder that runs once an image, and a light decoder that runs once a prompt.

Kirillov et al.: Segment Anything, ICCV 2023. Key names and shapes are the official ones, so that `sam_vit_*.pth`
and `mobile_sam.pt` load.
"""

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from methods.errors import MethodError
from methods.sam.image_encoder import GLOBAL_BLOCKS, ImageEncoderViT
from methods.sam.mask_decoder import MaskDecoder
from methods.sam.prompt_encoder import PromptEncoder
from methods.sam.tiny_vit import TinyViT

STRIDE = 16


def _vit(heads: int, head_channels: int, blocks: int) -> Callable[..., nn.Module]:
    def build(image_size: int, width: float, depth: float, outputs: int) -> nn.Module:
        count = max(1, round(heads * width))
        length = GLOBAL_BLOCKS * max(1, round(blocks * depth / GLOBAL_BLOCKS))
        return ImageEncoderViT(head_channels * count, length, count, image_size, outputs)

    return build


def _tiny_vit(image_size: int, width: float, depth: float, outputs: int) -> nn.Module:
    heads = tuple(max(1, round(n * width)) for n in (2, 4, 5, 10))
    return TinyViT(heads, tuple(max(1, round(n * depth)) for n in (2, 2, 6, 2)), outputs)


ENCODERS = {"tiny_vit": _tiny_vit, "vit_b": _vit(12, 64, 12), "vit_h": _vit(16, 80, 32)}


class Sam(nn.Module):
    """encoder: a key of ENCODERS.

    image_size: the side of the square that the network sees, a multiple of 16; 1024 is published.
    width, depth: scale the image encoder's attention heads, and with them its channels, and its blocks (a ViT
    keeps a multiple of four); 1.0 is published.
    decoder_channels: of the image embedding, the prompt encoder and the mask decoder, a multiple of 16; 256 is
    published. Two networks exchange their embeddings and decoders where `image_size` and this agree.
    """

    encoder_name = "image_encoder"  # what a student does not take over from its teacher
    backbones: ClassVar[dict[str, nn.Module]] = {}  # none that ImageNet weights initialise

    def __init__(
        self,
        encoder: str,
        image_size: int = 1024,
        width: float = 1.0,
        depth: float = 1.0,
        decoder_channels: int = 256,
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise MethodError(f"unknown encoder '{encoder}'; known: {', '.join(ENCODERS)}")
        # The decoder's channels are halved for attention in 8 heads.
        for name, value in (("image_size", image_size), ("decoder_channels", decoder_channels)):
            if value < 16 or value % 16:
                raise MethodError(f"{name}={value}: give a multiple of 16")
        self.image_size, self.embedding_channels = image_size, decoder_channels
        self.image_encoder = ENCODERS[encoder](image_size, width, depth, decoder_channels)
        self.prompt_encoder = PromptEncoder(decoder_channels, image_size, image_size // STRIDE)
        self.mask_decoder = MaskDecoder(decoder_channels)

    def encode_image(self, images: Tensor) -> Tensor:
        """Normalised, padded images (B, 3, S, S), S = `image_size` -> embeddings (B, C, S / 16, S / 16)."""
        return self.image_encoder(images)

    def decode_masks(
        self,
        embedding: Tensor,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        mask_logits: Tensor | None = None,
        multimask: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """P prompts -> mask logits (P, M, S / 4, S / 4) and predicted IoUs (P, M).

        embedding: (1, C, h, w) of one image for all prompts, or (P, C, h, w), one each.
        points, labels: float (P, N, 2) x, y in pixels of the S x S input, and integer (P, N): 1 foreground,
        0 background, -1 no point, for prompts with fewer points than others.
        boxes: float (P, 4) left, top, right, bottom. mask_logits: float (P, 1, S / 4, S / 4), as returned here.
        multimask: M = 3 answers to an ambiguous prompt, or M = 1 to one that is not.
        Raises MethodError without any prompt, for points without labels, and for counts that differ.
        """
        if (points is None) != (labels is None):
            raise MethodError("points and labels belong together: give both or neither")
        counts = {len(x) for x in (points, labels, boxes, mask_logits) if x is not None}
        if not counts:
            raise MethodError("nothing is asked for: give points with labels, boxes or mask_logits")
        if len(counts | ({len(embedding)} - {1})) > 1:
            sizes = ", ".join(map(str, sorted(counts)))
            raise MethodError(f"prompts of {sizes} objects with {len(embedding)} embeddings: give as many of each")
        tokens, prompt_map = self.prompt_encoder(points, labels, boxes, mask_logits)
        places = self.prompt_encoder.image_positions()
        return self.mask_decoder(embedding, places, tokens, prompt_map, multimask)

    def adapt_checkpoint(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Positions that a ViT has learnt at another `image_size` are resampled to this one's."""
        own, state = self.state_dict(), dict(state)
        for key in own:
            if key not in state or state[key].shape == own[key].shape:
                continue
            table, wanted = state[key], own[key].shape
            if key.endswith("pos_embed") and table.ndim == 4 and table.shape[3] == wanted[3]:
                table = F.interpolate(table.permute(0, 3, 1, 2), size=wanted[1:3], mode="bilinear")
                state[key] = table.permute(0, 2, 3, 1)
            elif "rel_pos_" in key and table.ndim == 2 and table.shape[1] == wanted[1]:
                state[key] = F.interpolate(table.t()[None], size=wanted[0], mode="linear")[0].t()
        return state
