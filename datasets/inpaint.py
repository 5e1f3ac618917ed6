"""Filling what was cut out of a picture."""

import cv2
import numpy as np


def fill_hole(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Replace the pixels of `hole` (bool (H, W)) by a smooth mix of those around it.

    Averages what is known over coarser and coarser grids. The hole is widened first, because a
    drawn outline leaves a rim of the object.
    """
    reach = max(3, min(hole.shape) // 40) | 1
    wide = cv2.dilate(hole.astype(np.uint8), np.ones((reach, reach), np.uint8))
    known = 1 - wide.astype(np.float32)
    weighted = np.dstack([image * known[:, :, None], known])
    smooth = _fill(weighted)
    soft = cv2.blur(wide.astype(np.float32), (3, 3))[:, :, None]
    return (image + soft * (smooth[:, :, :3] - image)).clip(0, 255).astype(np.uint8)


def _fill(weighted: np.ndarray) -> np.ndarray:
    """(H, W, 3 + 1) weighted colour and weight -> the same with every weight 1."""
    height, width = weighted.shape[:2]
    weight = weighted[:, :, 3:]
    if min(height, width) == 1:
        total = weighted.sum((0, 1))
        return np.broadcast_to(total / max(total[3], 1e-6), weighted.shape)
    half = cv2.resize(weighted, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(np.ascontiguousarray(_fill(half)), (width, height), interpolation=cv2.INTER_LINEAR)
    return weighted + (1 - weight) * coarse
