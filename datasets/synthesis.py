"""A still image with a mask becomes a clip: the pre-training of STM, STCN and their heirs.

A clip is a stack of layers, each an image that moves on its own: the picture (with its objects, or
with them cut out and moving apart from it), at times the objects of a partner picture, at times an
occluder. A layer's motion is an affine and a thin-plate spline whose velocity changes little from
frame to frame, so that it accumulates as in a video (STCN, by contrast, draws each frame's afresh).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from datasets.augment import (
    affine_about,
    choose_window,
    random_colour,
    recolour,
    shrink,
    source_step,
    visible_objects,
    window_to_source,
)

CONTROLS = 4  # control points of the thin-plate spline along a side
LATTICE = 17  # points along a side where motion is computed; linear in between
COVER = 255  # in a layer's ids: hides what is below but is no object

CUT_OUT_RATE = 0.5  # clips whose own objects move apart from the background
PARTNER_LONG_SIDE = (0.3, 0.8)  # of the frame, for the partner's objects together
OCCLUDER_RATE = 0.2


@dataclass(frozen=True)
class Shot:
    """What the layers of one clip have in common."""

    length: int
    size: int
    rng: np.random.Generator
    motion: float

    def path(self, centre: tuple[float, float], speed: float = 1.0) -> np.ndarray:
        return random_path(self.length, self.size, centre, self.rng, speed * self.motion)


@dataclass(frozen=True)
class Layer:
    """`rgba` uint8 (h, w, 4) and `ids` uint8 (h, w), seen at `positions` (T, LATTICE, LATTICE, 2) x, y."""

    rgba: np.ndarray
    ids: np.ndarray
    positions: np.ndarray
    border: int


def synthesize_clip(
    image: np.ndarray,
    mask: np.ndarray,
    length: int,
    size: int,
    rng: np.random.Generator,
    *,
    partner: tuple[np.ndarray, np.ndarray] | None = None,
    motion: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a still image into a clip: uint8 (T, S, S, 3) RGB and uint8 (T, S, S) ids.

    `image` is uint8 (H, W, 3), `mask` uint8 (H, W) with 0 = background and 255 = void (becomes
    background). The objects of `partner` (image, mask) are pasted on top, their ids raised above
    those of `mask`. Ids are kept; an object that does not show in the first frame is background in
    all of them. `motion` scales the speed; 1 moves things by about 3 % of the frame per step.
    """
    shot = Shot(length, size, rng, motion)
    mask = np.where(mask == COVER, 0, mask).astype(np.uint8)
    layers = _picture(shot, image, mask)
    if partner is not None:
        layers += _pasted(shot, *partner, highest_id=int(mask.max(initial=0)))
    if rng.random() < OCCLUDER_RATE:
        layers.append(_occluder(shot, image))

    colour = random_colour(rng, 0.1, grey=0.05)
    frames = np.empty((length, size, size, 3), np.uint8)
    masks = np.empty((length, size, size), np.uint8)
    for t in range(length):
        frame, masks[t] = _compose(layers, t, size)
        frames[t] = recolour(frame, random_colour(rng, 0.05) @ colour)
    kept = np.zeros(256, np.uint8)
    shown = visible_objects(masks[0])
    kept[shown] = shown
    return frames, kept[masks]


def _picture(shot: Shot, image: np.ndarray, mask: np.ndarray) -> list[Layer]:
    """The still itself, mirrored at its border: one layer, or background and objects that move apart."""
    middle, mirror = (shot.size - 1) / 2, cv2.BORDER_REFLECT_101
    view = window_to_source(choose_window(mask[None], shot.rng), shot.size, flip=shot.rng.random() < 0.5)
    path = shot.path((middle, middle))
    everything = np.ones_like(mask, bool)
    if not mask.any() or shot.rng.random() >= CUT_OUT_RATE:
        return [_layer(image, mask, everything, view, path, border=mirror)]
    x, y, w, h = cv2.boundingRect(mask)
    centre = np.linalg.solve(view, (x + w / 2, y + h / 2, 1))[:2]
    apart = shot.path(tuple(centre))
    apart -= apart[:1]  # both begin in place
    scene = fill_hole(image, mask > 0)
    return [
        _layer(scene, np.zeros_like(mask), everything, view, path, border=mirror),
        _layer(image, mask, mask > 0, view, path + apart, border=mirror),
    ]


def _pasted(shot: Shot, image: np.ndarray, mask: np.ndarray, highest_id: int) -> list[Layer]:
    """The partner's objects, resized and put somewhere in the frame; none if there is no free id."""
    ids = np.where((mask > 0) & (mask < COVER), mask.astype(int) + highest_id, 0)
    ids = np.where(ids < COVER, ids, 0).astype(np.uint8)
    if not ids.any():
        return []
    x, y, w, h = cv2.boundingRect(ids)
    # At most twice its own size: pixels blown up further look unlike anything in a video.
    step = max(max(w, h) / (shot.size * shot.rng.uniform(*PARTNER_LONG_SIDE)), 0.5)
    side = step if shot.rng.random() < 0.5 else -step
    put_x, put_y = shot.rng.uniform(0.2, 0.8, 2) * shot.size
    view = np.array([[side, 0, x + w / 2 - side * put_x], [0, step, y + h / 2 - step * put_y], [0, 0, 1]])
    return [_layer(image, ids, ids > 0, view, shot.path((put_x, put_y)), border=cv2.BORDER_CONSTANT)]


def _occluder(shot: Shot, image: np.ndarray) -> Layer:
    """A blob with the picture's own texture that passes in front of everything, twice as fast."""
    size, rng = shot.size, shot.rng
    centre = rng.uniform(0, size, 2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 8))
    radii = rng.uniform(0.05, 0.2, 2) * rng.uniform(0.6, 1.4, (8, 1)) * size
    corners = centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    blob = cv2.fillPoly(np.zeros((size, size), np.uint8), [np.round(corners).astype(np.int32)], COVER)
    texture = cv2.resize(image[::-1, ::-1], (size, size), interpolation=cv2.INTER_AREA)
    return _layer(
        texture, blob, blob > 0, np.eye(3), shot.path(tuple(centre), 2.0), border=cv2.BORDER_CONSTANT
    )


def _layer(
    image: np.ndarray, ids: np.ndarray, opaque: np.ndarray, view: np.ndarray, path: np.ndarray, *, border: int
) -> Layer:
    """A layer whose `path` in the frame is seen through `view`, the 3x3 from frame to image pixels."""
    small, to_small = shrink(np.dstack([image, np.where(opaque, 255, 0).astype(np.uint8)]), source_step(view))
    if small.shape[:2] != ids.shape:
        ids = cv2.resize(ids, small.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    to_layer = to_small @ view
    return Layer(small, ids, path @ to_layer[:2, :2].T + to_layer[:2, 2], border)


def _compose(layers: list[Layer], t: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame `t` and its ids, layers from the bottom up."""
    frame = ids = None
    for layer in layers:
        x, y = (upsample(layer.positions[t, :, :, axis], size) for axis in (0, 1))
        rgba = cv2.remap(layer.rgba, x, y, cv2.INTER_LINEAR, borderMode=layer.border)
        own = cv2.remap(layer.ids, x, y, cv2.INTER_NEAREST, borderMode=layer.border)
        if frame is None:
            frame, ids = np.ascontiguousarray(rgba[:, :, :3]), own
        else:
            opaque = rgba[:, :, 3].astype(np.float32) / 255
            frame = cv2.blendLinear(np.ascontiguousarray(rgba[:, :, :3]), frame, opaque, 1 - opaque)
            ids = np.where(own > 0, own, ids)
    return frame, np.where(ids == COVER, 0, ids)


def random_path(
    length: int, size: int, centre: tuple[float, float], rng: np.random.Generator, motion: float
) -> np.ndarray:
    """Where each lattice point of each frame looks, in pixels x, y of an unmoved frame.

    Returns float64 (T, LATTICE, LATTICE, 2). The affine part starts at rest; the spline starts bent by
    a few per cent of the frame, so that the same still does not always show the same shapes. The
    parameters' velocities are drawn once and vary by half of that from step to step.
    """
    spread = np.array([0.06, 0.05, 0.05, *[0.03 * size] * 2, *[0.01 * size] * 2 * CONTROLS**2]) * motion
    velocity = rng.normal(0, spread) + rng.normal(0, spread / 2, (length - 1, len(spread)))
    steps = np.concatenate([np.zeros((1, len(spread))), np.cumsum(velocity, 0)])
    steps[:, 5:] += rng.normal(0, 0.015 * size, len(spread) - 5)
    positions = np.empty((length, LATTICE, LATTICE, 2))
    for t, (angle, shear, grow, dx, dy, *controls) in enumerate(steps):
        affine = affine_about(centre, angle, shear, np.exp(grow), (dx, dy))
        bend = spline_basis() @ np.reshape(controls, (CONTROLS**2, 2))
        positions[t] = rest(size) @ affine[:2, :2].T + affine[:2, 2] + bend.reshape(LATTICE, LATTICE, 2)
    return positions


def rest(size: int) -> np.ndarray:
    """Pixel coordinates (LATTICE, LATTICE, 2) x, y of the lattice over a size x size frame."""
    axis = np.linspace(0, size - 1, LATTICE)
    return np.stack(np.meshgrid(axis, axis), axis=-1)


@lru_cache(maxsize=1)
def spline_basis() -> np.ndarray:
    """(LATTICE^2, CONTROLS^2): the thin-plate spline is linear in its control values, so solve it once."""
    controls, lattice = (
        np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        for axis in (np.linspace(0, 1, CONTROLS), np.linspace(0, 1, LATTICE))
    )
    return RBFInterpolator(controls, np.eye(CONTROLS**2), kernel="thin_plate_spline")(lattice)


def upsample(lattice: np.ndarray, size: int) -> np.ndarray:
    """float32 (size, size) from (LATTICE, LATTICE) values, linear, corners on corners."""
    weights = _linear_weights(size)
    return weights @ lattice.astype(np.float32) @ weights.T


@lru_cache(maxsize=8)
def _linear_weights(size: int) -> np.ndarray:
    nodes = np.linspace(0, size - 1, LATTICE)
    columns = [np.interp(np.arange(size), nodes, one) for one in np.eye(LATTICE)]
    return np.stack(columns, axis=1).astype(np.float32)


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
