"""Losses on the logits: poly cross-entropy on labels, and distillation from a teacher's logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.errors import MethodError


def poly_cross_entropy(logits: Tensor, target: Tensor, epsilon: float = 1.0) -> Tensor:
    """Poly-1 cross-entropy -log p_y + epsilon (1 - p_y) (Leng et al., ICLR 2022), per pixel.

    logits (B, C, ...), target int64 (B, ...) -> (B, ...).
    """
    log_p = -F.cross_entropy(logits, target, reduction="none")
    return -log_p + epsilon * (1 - log_p.exp())


def bootstrapped(per_pixel: Tensor, share: float) -> Tensor:
    """Mean of the hardest `share` (0 < share <= 1) of each clip's pixels: (B, ...) losses -> scalar.

    Bootstrapped cross-entropy as STCN (Cheng et al., NeurIPS 2021) and AOT (Yang et al., NeurIPS 2021) use it,
    both with share 0.15; here for any loss per pixel, so it combines with poly_cross_entropy (our combination).
    The leading axis is what shares one ranking: those papers rank each frame by itself, so flatten frames into
    it for theirs. The number of pixels is rounded down as theirs, but at least one. Raises MethodError for
    another share.
    """
    if not 0 < share <= 1:
        raise MethodError(f"bootstrap share is {share}: give a share of the pixels above 0 and at most 1")
    if share == 1:
        return per_pixel.mean()
    flat = per_pixel.flatten(1)
    return flat.topk(max(1, int(share * flat.shape[1])), dim=1, sorted=False).values.mean()


def bootstrap_share(step: float, start: float, end: float, share: float) -> float:
    """STCN's schedule: 1 before step `start`, then linearly down to `share` at step `end` and after.

    STCN: start 20000, end 70000, share 0.15.
    """
    if step < start:
        return 1.0
    if step >= end:
        return share
    return share + (1 - share) * (end - step) / (end - start)


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


def wide(x: Tensor) -> Tensor:
    """In float32 or better."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def dice_losses(probabilities: Tensor, target: Tensor) -> Tensor:
    """1 - 2 |P T| / (|P| + |T|) of each plane (V-Net, Milletari et al. 2016): (..., H, W) -> (...).

    probabilities and float target: in [0, 1], one plane an object. A pixel is added to both sums, so that an
    object that is neither there nor predicted costs nothing.
    """
    overlap = (probabilities * target).sum((-2, -1))
    total = probabilities.sum((-2, -1)) + target.sum((-2, -1))
    return 1 - (2 * overlap + 1) / (total + 1)


def jaccard_losses(probabilities: Tensor, target: Tensor) -> Tensor:
    """1 - |P T| / (|P| + |T| - |P T|) of each plane (soft Jaccard, as AOT trains): (..., H, W) -> (...).

    Arguments and the added pixel as in `dice_losses`.
    """
    overlap = (probabilities * target).sum((-2, -1))
    union = probabilities.sum((-2, -1)) + target.sum((-2, -1)) - overlap
    return 1 - (overlap + 1) / (union + 1)
