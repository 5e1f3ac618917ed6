"""Boxes (..., 4) as left, top, right, bottom in pixels: around masks, compared, thinned out."""

import torch
from torch import Tensor


def mask_boxes(masks: Tensor) -> Tensor:
    """bool (N, H, W) -> float (N, 4): the first and last column and row of each mask; zeros for an empty one."""
    edges = []
    for any_there in (masks.any(1), masks.any(2)):  # (N, W), (N, H)
        count = any_there.shape[1]
        first = any_there.int().argmax(1)
        edges.append((first, count - 1 - any_there.flip(1).int().argmax(1)))
    (left, right), (top, bottom) = edges
    boxes = torch.stack([left, top, right, bottom], 1).float()
    return boxes * masks.flatten(1).any(1, keepdim=True)


def scaled(boxes: Tensor, factor: float, size: tuple[int, int]) -> Tensor:
    """Sides times `factor` about the centre, within a frame of `size` (H, W)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    centre, half = (low + high) / 2, (high - low) / 2 * factor
    limit = boxes.new_tensor([size[1] - 1, size[0] - 1])
    return torch.cat([(centre - half).clamp(min=0), torch.minimum(centre + half, limit)], -1)


def box_iou(one: Tensor, other: Tensor) -> Tensor:
    """(N, 4), (M, 4) -> (N, M) intersection over union of areas; 0 where neither has an area."""
    low = torch.maximum(one[:, None, :2], other[None, :, :2])
    high = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    common = (high - low).clamp(min=0).prod(2)
    areas = [(x[:, 2:] - x[:, :2]).prod(1) for x in (one, other)]
    union = areas[0][:, None] + areas[1] - common
    return torch.where(union > 0, common / union, 0.0)


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Indices of boxes by falling score, without those whose IoU with a better one kept is above `threshold`."""
    order = scores.argsort(descending=True, stable=True)
    close = (box_iou(boxes[order], boxes[order]) > threshold).cpu()
    alive = torch.ones(len(order), dtype=torch.bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~close[i, i + 1 :]
    return order[alive.to(order.device)]
