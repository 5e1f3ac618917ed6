"""From the mask of an object to the prompts that ask for it again. Ours: SAM itself knows no videos."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def interior_points(mask: Tensor, count: int) -> Tensor:
    """bool (H, W), not empty -> float (count, 2) x, y inside it, each as far from the border as there is room.

    The first one is the centre of the largest disc that fits in; its disc is taken out before the next one is
    looked for. A mask that is used up repeats its first point.
    """
    free = np.pad(mask.cpu().numpy().astype(np.uint8), 1)  # beyond the frame is outside
    found = []
    while len(found) < count and free.any():
        distance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        y, x = np.unravel_index(distance.argmax(), distance.shape)
        found.append((x - 1.0, y - 1.0))
        cv2.circle(free, (int(x), int(y)), int(distance[y, x]), 0, cv2.FILLED)
    found += found[:1] * (count - len(found))
    return torch.tensor(found, dtype=torch.float32, device=mask.device)


def looks(embedding: Tensor, low_res: Tensor) -> Tensor:
    """Image embedding (1, C, h, w) averaged over each soft mask (M, 4 h, 4 w) of logits -> (M, C), length 1."""
    inside = F.avg_pool2d(low_res.sigmoid()[:, None], 4)[:, 0].flatten(1)
    return F.normalize(inside @ embedding[0].flatten(1).t(), dim=1)
