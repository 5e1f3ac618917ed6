"""Frames and masks on their way into and out of a network: normalising, padding, aggregating objects."""

import torch
import torch.nn.functional as F
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize(frames: Tensor) -> Tensor:
    """RGB in [0, 1] (..., 3, H, W) -> zero mean and unit variance by the ImageNet statistics."""
    mean = frames.new_tensor(IMAGENET_MEAN).view(3, 1, 1)
    std = frames.new_tensor(IMAGENET_STD).view(3, 1, 1)
    return (frames - mean) / std


def pad_to_multiple(x: Tensor, multiple: int = 16) -> tuple[Tensor, tuple[int, int, int, int]]:
    """Zero-pad (..., H, W) evenly on both sides, as STCN's evaluation does; also returns the padding."""
    height, width = x.shape[-2:]
    extra_h, extra_w = -height % multiple, -width % multiple
    padding = (extra_w // 2, extra_w - extra_w // 2, extra_h // 2, extra_h - extra_h // 2)
    return F.pad(x, padding), padding


def unpad(x: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Undo `pad_to_multiple` on (..., H, W)."""
    left, right, top, bottom = padding
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def soft_aggregate(objects: Tensor) -> Tensor:
    """Independent object probabilities (N, ...) -> joint logits (N + 1, ...), background first.

    The background's probability is the product of (1 - p); every channel's logit is log(p / (1 - p)),
    and a softmax over the channels gives the joint probabilities (STM, equation 4; STCN's `aggregate`).
    """
    background = torch.prod(1 - objects, dim=0, keepdim=True)
    p = torch.cat([background, objects]).clamp(1e-7, 1 - 1e-7)
    return torch.log(p / (1 - p))


def others(masks: Tensor) -> Tensor:
    """(N, H, W) object masks -> (N, H, W): for each object, the sum of all the other ones."""
    return masks.sum(0, keepdim=True) - masks


def slot_planes(labels: Tensor, objects: int) -> Tensor:
    """Integer (B, H, W), 0 = background, 1..objects -> float (B, objects, H, W), one plane an object."""
    slots = torch.arange(1, objects + 1, device=labels.device).view(1, -1, 1, 1)
    return (labels[:, None] == slots).float()


def most_likely(probabilities: Tensor, dim: int = 0) -> Tensor:
    """(N, H, W) -> int64 (H, W): the channel that is highest. On a CPU eight times as fast as argmax."""
    return probabilities.max(dim).indices
