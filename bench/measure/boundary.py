"""The boundary measure F of DAVIS, computed for up to four objects at once.

A mask needs one bit per pixel, so a uint8 image has room for eight: its bit-planes. All operations here
are byte-wise and so treat the planes together. Object k has two of them, bit 2k for the prediction and
bit 2k + 1 for the truth. With fewer than four objects the image is cut into horizontal bands that share
the bytes too. One object at 480p then costs about an eighth of two plain dilations.
"""

import math
from collections.abc import Sequence

import numpy as np

MAX_OBJECTS = 4
_PLANES = (np.arange(256)[:, None] >> np.arange(8)) & 1  # (256, 8): the planes that are set in a byte
_PREDICTIONS = 0b01010101


def tolerance_radius(height: int, width: int) -> int:
    """How far apart (pixels) two boundaries may be and still match: 0.8 % of the image diagonal, rounded up."""
    return int(np.ceil(0.008 * np.linalg.norm((height, width))))


def boundary_scores(predictions: Sequence[np.ndarray], truths: Sequence[np.ndarray], radius: int) -> np.ndarray:
    """F of each pair of masks.

    predictions, truths: boolean (H, W), one per object, 1 to 4 of them; radius: tolerance in pixels.
    Returns float64 (N,) in [0, 1]: the harmonic mean of precision (share of the prediction's boundary that
    is within `radius` of the truth's boundary) and recall (the reverse). If neither mask has a boundary
    F is 1, if only one has F is 0.
    Source: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation,
    CVPR 2016, section 4; details as in the official davis2017-evaluation.
    """
    objects, bands = len(predictions), MAX_OBJECTS // len(predictions)
    planes = np.zeros(predictions[0].shape, np.uint8)
    for k, (prediction, truth) in enumerate(zip(predictions, truths, strict=True)):
        planes |= prediction.view(np.uint8) * 4**k  # NumPy multiplies bytes ten times faster than it shifts them
        planes |= truth.view(np.uint8) * (2 * 4**k)
    folded = _fold(boundary_map(planes), radius, bands, 4**objects)
    own, near = folded[radius:-radius].ravel(), dilate(folded, radius).ravel()
    pixels = np.flatnonzero(own != 0)
    own, near = own[pixels], near[pixels]
    near_other = ((near & _PREDICTIONS) << 1) | ((near >> 1) & _PREDICTIONS)
    total, matched = (
        _count_planes(values)[: 2 * objects * bands].reshape(bands, objects, 2).sum(axis=0)
        for values in (own, own & near_other)
    )
    precision, recall = (matched / np.maximum(total, 1)).T
    f = 2 * precision * recall / np.where(matched.any(axis=1), precision + recall, 1)
    return np.where(total.any(axis=1), f, 1.0)


def boundary_map(planes: np.ndarray) -> np.ndarray:
    """Mark the pixels that differ from their right, lower or lower right neighbour, plane by plane.

    uint8 (H, W) -> uint8 (H, W). As in `seg2bmap` of the Berkeley segmentation benchmark: the last row
    looks only to the right, the last column only down, and the last pixel is no boundary. The image's
    own border is none either, so a mask that fills the image has no boundary.
    """
    boundary = np.zeros_like(planes)
    boundary[:, :-1] = planes[:, :-1] ^ planes[:, 1:]
    boundary[:-1] |= planes[:-1] ^ planes[1:]
    boundary[:-1, :-1] |= planes[:-1, :-1] ^ planes[1:, 1:]
    return boundary


def dilate(padded: np.ndarray, radius: int) -> np.ndarray:
    """Dilate every plane with the disk x^2 + y^2 <= radius^2 (`skimage.morphology.disk`).

    padded: uint8 (H + 2 radius, W + radius), an image with `radius` more rows above and below it and
    `radius` columns of zeros on its right, which keep a run from reaching the next row. Returns uint8
    (H, W + radius), whose last `radius` columns mean nothing. radius: pixels, at least 1.

    The disk is a stack of horizontal runs: the image is dilated by runs of growing length, each made from
    the last one, and each result goes to the rows that are that far away.
    """
    stride = padded.shape[1]
    run, length = padded.ravel(), 1  # run[i] is the OR of `length` pixels from i on
    dilated = np.zeros(padded.size - 2 * radius * stride, np.uint8)
    for distance in range(radius, -1, -1):
        half = math.isqrt(radius**2 - distance**2)
        while length < 2 * half + 1:
            step = min(length, 2 * half + 1 - length)
            run = run[:-step] | run[step:]
            length += step
        for row in {distance, -distance}:
            start = (radius + row) * stride - half
            dilated |= run[start : start + dilated.size]
    return dilated.reshape(-1, stride)


def _fold(planes: np.ndarray, radius: int, bands: int, factor: int) -> np.ndarray:
    """Lay the `bands` horizontal bands of an image over each other: band b is multiplied by factor^b.

    uint8 (H, W) -> uint8 (ceil(H / bands) + 2 radius, W + radius), padded for `dilate`: a band brings
    `radius` rows of its neighbours along.
    """
    height, width = planes.shape
    rows = math.ceil(height / bands)
    folded = np.zeros((rows + 2 * radius, width + radius), np.uint8)
    for band in range(bands):
        top = band * rows - radius
        part = planes[max(top, 0) : band * rows + rows + radius] * factor**band
        above = max(-top, 0)
        folded[above : above + len(part), :width] |= part
    return folded


def _count_planes(values: np.ndarray) -> np.ndarray:
    """How often each of the eight planes is set: uint8 (n,) -> int64 (8,)."""
    return np.bincount(values, minlength=256) @ _PLANES
