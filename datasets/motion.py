"""How the layers of a synthetic clip move: smooth paths of affines, perspectives and thin-plate splines."""

from functools import lru_cache

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from datasets.augment import affine_about

CONTROLS = 4  # control points of the thin-plate spline along a side
LATTICE = 17  # points along a side where motion is computed; linear in between
# A parameter's velocity, of the frame's side where it is a length: turn, shear, growth, perspective and shift.
VELOCITY = {"angle": 0.06, "shear": 0.05, "grow": 0.05, "perspective": 0.03, "shift": 0.03}
BEND, BEND_AT_FIRST = 0.006, 0.015

Point = tuple[float, float]
Box = tuple[float, float, float, float]


def random_path(
    length: int, size: int, centre: Point, rng: np.random.Generator, motion: float, limbs: Box | None = None
) -> np.ndarray:
    """Where each lattice point of each frame looks, in pixels x, y of an unmoved frame.

    Returns float64 (T, LATTICE, LATTICE, 2). Affine and perspective start at rest; the spline starts bent by
    a few per cent of the frame, so that the same still does not always show the same shapes. The
    parameters' velocities are drawn once and vary by half of that from step to step. `limbs`, a box (x, y, width,
    height) of the frame, takes the spline there, three times as strong for its size: its parts move apart.
    """
    x, y, width, height = limbs or (0.0, 0.0, size - 1, size - 1)
    bend = (3 if limbs else 1) * max(width, height)
    rigid = [VELOCITY["angle"], VELOCITY["shear"], VELOCITY["grow"], *[VELOCITY["perspective"]] * 2]
    rigid += [VELOCITY["shift"] * size] * 2
    spread = np.array([*rigid, *[BEND * bend] * 2 * CONTROLS**2]) * motion
    changes = rng.normal(0, spread) + rng.normal(0, spread / 2, (length - 1, len(spread)))
    steps = np.concatenate([np.zeros((1, len(spread))), np.cumsum(changes, 0)])
    steps[:, len(rigid) :] += rng.normal(0, BEND_AT_FIRST * size, len(spread) - len(rigid))
    inside = (rest(size) - (x, y)) / np.maximum((width, height), 1)
    positions = np.empty((length, LATTICE, LATTICE, 2))
    for t, (angle, shear, grow, tilt_x, tilt_y, dx, dy, *controls) in enumerate(steps):
        affine = affine_about(centre, angle, shear, np.exp(grow), (dx, dy))
        seen = rest(size) @ affine[:2, :2].T + affine[:2, 2] - centre
        depth = 1 + (seen @ (tilt_x, tilt_y)) / size
        bent = (spline_basis() @ np.reshape(controls, (CONTROLS**2, 2))).reshape(LATTICE, LATTICE, 2)
        positions[t] = centre + seen / np.maximum(depth, 0.5)[..., None]
        positions[t] += _sample(bent, inside) if limbs else bent
    return positions


def _sample(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A field (LATTICE, LATTICE, 2) over the unit square at points (..., 2) x, y, the border's beyond."""
    x, y = np.moveaxis((at * (LATTICE - 1)).astype(np.float32), -1, 0)
    return cv2.remap(field.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def velocity(positions: np.ndarray, t: int, size: int) -> np.ndarray:
    """How far what positions (T, LATTICE, LATTICE, 2) show moves from frame `t` to the next; the last, to it.

    (2,) pixels x, y of the frame, whatever affine coordinates the positions are in.
    """
    before, after = (t, t + 1) if t + 1 < len(positions) else (t - 1, t)
    spacing = (size - 1) / (LATTICE - 1)
    along_x = np.diff(positions[t], axis=1).mean((0, 1)) / spacing
    along_y = np.diff(positions[t], axis=0).mean((0, 1)) / spacing
    looks_further = (positions[after] - positions[before]).mean((0, 1))
    return -np.linalg.solve(np.stack([along_x, along_y], axis=1), looks_further)


def line_kernel(way: np.ndarray) -> np.ndarray:
    """A filter, float32 with sum 1, that smears along `way` (x, y in pixels) about its middle."""
    count = 2 * int(np.ceil(np.hypot(*way))) + 1
    points = ((np.arange(count) + 0.5) / count - 0.5)[:, None] * way
    reach = int(np.ceil(np.abs(points).max(initial=0)))
    kernel = np.zeros((2 * reach + 3, 2 * reach + 3), np.float32)
    whole = np.floor(points).astype(int)
    part = points - whole
    for right, down in np.ndindex(2, 2):
        weight = np.abs(1 - right - part[:, 0]) * np.abs(1 - down - part[:, 1])
        np.add.at(kernel, (whole[:, 1] + down + reach + 1, whole[:, 0] + right + reach + 1), weight)
    return kernel / kernel.sum()


def rest(size: int) -> np.ndarray:
    """Pixel coordinates (LATTICE, LATTICE, 2) x, y of the lattice over a size x size frame."""
    axis = np.linspace(0, size - 1, LATTICE)
    return np.stack(np.meshgrid(axis, axis), axis=-1)


@lru_cache(maxsize=1)
def spline_basis() -> np.ndarray:
    """(LATTICE^2, CONTROLS^2): the thin-plate spline is linear in its control values, so solve it once."""
    axes = np.linspace(0, 1, CONTROLS), np.linspace(0, 1, LATTICE)
    controls, lattice = (np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2) for axis in axes)
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
