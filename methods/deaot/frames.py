"""Sizes, labels and probabilities on their way into and out of DeAOT, as in its official evaluation."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.deaot.decoder import resized

OBJECTS = 10  # slots of the identification bank; more objects take several groups
STRIDE = 16


def aligned_size(height: int, width: int, max_long_edge: int | None = None) -> tuple[int, int]:
    """The nearest 16 k + 1 of each side, 17 at least, once the longer side is within `max_long_edge`."""
    scale = min(1.0, (max_long_edge or max(height, width)) / max(height, width))
    sides = (int(scale * side) for side in (height, width))
    return tuple(max(1, round((side - 1) / STRIDE)) * STRIDE + 1 for side in sides)


def fit_frames(frames: Tensor, max_long_edge: int | None = None) -> Tensor:
    """(B, 3, H, W) -> (B, 3, H', W') of `aligned_size`, bicubic as OpenCV's; channels_last, the faster layout."""
    size = aligned_size(*frames.shape[2:], max_long_edge)
    if frames.shape[2:] != size:
        frames = F.interpolate(frames, size=size, mode="bicubic", align_corners=False)
    return frames.contiguous(memory_format=torch.channels_last)


def one_hot_slots(labels: Tensor, slots: int, size: tuple[int, int]) -> Tensor:
    """Integer labels (B, H, W), 0 = background -> float (B, slots, *size), each pixel from its nearest one."""
    nearest = F.interpolate(labels[:, None].float(), size=size, mode="nearest")
    planes = torch.arange(slots, device=labels.device).view(1, -1, 1, 1)
    return (nearest == planes).float()


def joint_probabilities(logits: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Logits (1, n + 1, h, w) of each group of n objects -> probabilities (N + 1, *size), background first.

    Several groups are soft-aggregated: the background's probability is the product of theirs, and the odds of
    all channels are normalised. (The official code lets slots without an object take part with odds of 1e-5
    each; here they do not, which changes probabilities by less than 7e-5.)
    """
    groups = [resized(each, size).softmax(1)[0] for each in logits]
    if len(groups) == 1:
        return groups[0]
    background = torch.stack([group[0] for group in groups]).prod(0, keepdim=True)
    joint = torch.cat([background, *(group[1:] for group in groups)]).clamp(1e-5, 1 - 1e-5)
    return torch.logit(joint).softmax(0)
