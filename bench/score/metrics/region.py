"""J, the region measure of DAVIS: the intersection over union of the masks of an object."""

from collections.abc import Sequence

import numpy as np

from bench.score.metric import Metric


def region(prediction: np.ndarray, truth: np.ndarray, object_ids: Sequence[int]) -> np.ndarray:
    """J of each object in integer (H, W) masks of ids: float64 (N,) in [0, 1]; 1 where it is in neither mask."""
    return np.array([_iou(prediction == i, truth == i) for i in object_ids])


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    both = np.count_nonzero(a & b)
    union = np.count_nonzero(a) + np.count_nonzero(b) - both
    return both / union if union else 1.0


METRIC = Metric("j", "J", region, note="J: the region measure of DAVIS, intersection over union.")
