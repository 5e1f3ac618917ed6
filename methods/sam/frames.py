"""Frames on their way into SAM's square input and masks on their way back, as in the official predictor."""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.masks import normalize

LOW_RES_STEP = 4  # pixels of the input in one of the mask logits
GIVEN_LOGIT = 10.0  # of a given mask's pixels, as in SAM 2


def input_size(height: int, width: int, side: int) -> tuple[int, int]:
    """The size at which a frame's longer side is `side`."""
    scale = side / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def to_input(frame: Tensor, side: int) -> Tensor:
    """RGB in [0, 1] (3, H, W) -> resized, normalised, zeros below or to the right: (1, 3, side, side)."""
    return fit(frame[None], input_size(frame.shape[1], frame.shape[2], side), side)


def fit(frames: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """As `to_input`, RGB (B, 3, H, W) whose `input_size` is known."""
    fitted = pad_to_square(normalize(resize(frames, size)), side)
    return fitted.contiguous(memory_format=torch.channels_last)  # the faster layout for TinyViT


def to_frame(logits: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """Mask logits (P, M, side / 4, side / 4) -> (P, M, *size) at the frame's own size, padding cut off."""
    height, width = input_size(*size, side)
    logits = F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
    return F.interpolate(logits[..., :height, :width], size=size, mode="bilinear", align_corners=False)


def to_logits(masks: Tensor, side: int) -> Tensor:
    """Masks (P, H, W) in the frame's size -> (P, 1, side / 4, side / 4) logits between -10 and 10."""
    size = input_size(masks.shape[1], masks.shape[2], side)
    fitted = pad_to_square(resize(masks[:, None].float(), size), side)
    return GIVEN_LOGIT * (2 * F.avg_pool2d(fitted, LOW_RES_STEP) - 1)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, and averaging what it shrinks, as Pillow does."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)


def pad_to_square(x: Tensor, side: int) -> Tensor:
    """Zeros below or to the right of (B, C, H, W)."""
    return F.pad(x, (0, side - x.shape[3], 0, side - x.shape[2]))
