"""Losses on masks that prompts ask for (SAM, MobileSAM), and how well two masks agree."""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.distillation.classification import dice_losses

FOCAL, DICE = 20.0, 1.0  # SAM's weights of the two in the loss of a mask
GAMMA, ALPHA = 2.0, 0.25


def mask_losses(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """20 focal + Dice loss of each mask (Segment Anything, section 3 and appendix A): (..., H, W) -> (...).

    target: bool (..., H, W). valid: bool (..., H, W), the pixels that are not padding. Both broadcast.
    """
    focal = (focal_loss(logits, target) * valid).sum((-2, -1)) / valid.sum((-2, -1)).clamp(min=1)
    return FOCAL * focal + DICE * dice_losses(logits.sigmoid() * valid, (target & valid).float())


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """-alpha_t (1 - p_t)^gamma log p_t of each pixel (Lin et al., Focal Loss, ICCV 2017; gamma 2, alpha 0.25)."""
    truth = target.expand_as(logits).to(logits.dtype)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    wrong = (truth - logits.sigmoid()).abs()
    return (ALPHA * truth + (1 - ALPHA) * (1 - truth)) * wrong**GAMMA * cross_entropy


def mask_iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of bool masks (..., H, W), which broadcast -> (...); 1 where both are empty."""
    common, union = (one & other).sum((-2, -1)), (one | other).sum((-2, -1))
    return torch.where(union > 0, common / union.clamp(min=1), 1.0)
