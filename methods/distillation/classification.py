"""Losses on the logits: poly cross-entropy on labels, and distillation from a teacher's logits."""

import torch
import torch.nn.functional as F
from torch import Tensor


def poly_cross_entropy(logits: Tensor, target: Tensor, epsilon: float = 1.0) -> Tensor:
    """Poly-1 cross-entropy -log p_y + epsilon (1 - p_y) (Leng et al., ICLR 2022), per pixel.

    logits (B, C, ...), target int64 (B, ...) -> (B, ...).
    """
    log_p = -F.cross_entropy(logits, target, reduction="none")
    return -log_p + epsilon * (1 - log_p.exp())


def logit_distillation(student: Tensor, teacher: Tensor, temperature: float = 0.1) -> Tensor:
    """KL(softmax(teacher / T) || softmax(student / T)) over the channels, per pixel: (B, C, ...) -> (B, ...).

    T < 1 sharpens both. There is no factor T^2: it would shrink the loss a hundredfold at the T = 0.1 of the
    unofficial implementation; the recipe's weight is the place for it.
    """
    log_s = F.log_softmax(student / temperature, 1)
    log_t = F.log_softmax(teacher / temperature, 1)
    return (log_t.exp() * (log_t - log_s)).sum(1)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, ...) values where the bool mask of the same shape is set; 0 where it is nowhere set."""
    return torch.where(mask, values, 0).sum() / mask.sum().clamp(min=1)


def dice_loss(probabilities: Tensor, target: Tensor) -> Tensor:
    """1 - 2 |P T| / (|P| + |T|), averaged over the leading axes (V-Net, Milletari et al. 2016).

    probabilities and float target: (..., H, W) in [0, 1], one plane an object. A pixel is added to both sums,
    so that an object that is neither there nor predicted costs nothing.
    """
    overlap = (probabilities * target).sum((-2, -1))
    total = probabilities.sum((-2, -1)) + target.sum((-2, -1))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()
