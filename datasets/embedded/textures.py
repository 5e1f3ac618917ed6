"""Random textures in integer arithmetic, with the statistics of pictures: 1/f noise, patterns, dead leaves."""

from collections.abc import Callable
from math import isqrt

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import SINE_BITS, TURN, cosine, sine

# How much an octave of noise weighs beside the one before, in 1/256; pictures have about 256 (1/f).
ROUGHNESS = (130, 250)
LEAF = (4, 80)  # radius in texels, below a third of a background's side
LEAVES = (16, 220)


def draw_palette(rng: Generator, count: int) -> np.ndarray:
    """int32 (count, 3) RGB 0..255: most near to grey, as in pictures, some colourful, bright and dark."""
    colours = rng.integers(10, 246, (count, 3))
    colours[:, 1] = np.maximum(colours[:, 1], colours[:, ::2].min(axis=1))  # purple is rare in nature
    grey = colours.sum(axis=1, keepdims=True) // 3
    colours += (grey - colours) * rng.integers(3, 10, (count, 1)) // 10
    light = 120 + np.arange(count)[:, None] * 280 // count + rng.integers(0, 50, (count, 1))
    return np.clip(colours * light >> 8, 0, 255).astype(np.int32)


def paint(rng: Generator, palette: np.ndarray, size: int, frequency: int) -> np.ndarray:
    """int32 (size, size, 3) 0..255 that repeats without a seam, in three colours of the palette.

    Two patterns over each other, the second in spots only, and 1/f light and shade at all scales.
    `frequency` is in waves per texture; `size` is a power of two.
    """
    first, second, third = palette[rng.permutation(len(palette))[:3]]
    image = _blend(first, second, pattern(_draw_kind(rng), rng, size, frequency))
    detail = pattern(_draw_kind(rng), rng, size, 2 * frequency)
    cover = np.clip((pattern("noise", rng, size, 2) - 110) * 6, 0, 255)
    image = _blend(image, third, detail * cover // 255)
    light = 256 + (pattern("noise", rng, size, 2) - 128) * int(rng.integers(100, 400)) // 256
    return np.clip(image * light[..., None] >> 8, 0, 255).astype(np.int32)


def dead_leaves(rng: Generator, canvas: np.ndarray, materials: list[np.ndarray], count: int) -> np.ndarray:
    """The canvas (S, S, 3) under `count` overlapping pieces of `materials`, of all sizes and any outline.

    As many of each size as keeps a picture's look at every scale: density radius**-3 (Lee, Mumford and
    Huang, 2001, "Occlusion models for natural images").
    """
    canvas, size = canvas.copy(), canvas.shape[0]
    bend = value_noise(rng, size, 24, 24) - 128
    least, most = LEAF
    for _ in range(count):
        shrink = int(rng.integers(1024)) * (most * most - least * least) // (most * most)
        long = isqrt(least * least * 1024 // (1024 - shrink))
        across = max(long * int(rng.integers(30, 101)) // 100, 2)
        angle, warp = int(rng.integers(TURN)), int(rng.integers(0, 100))
        offset = np.arange(-long * 3 // 2, long * 3 // 2 + 1)
        (row, column), (shift, gain, boxy) = rng.integers(size, size=2), rng.integers([256, 340, 2])
        rows, columns = (row + offset) % size, (column + offset) % size
        bent = bend[np.ix_(rows, columns)] * (long * warp) >> 14
        cos, sin = int(cosine(angle)), int(sine(angle))
        p = (cos * offset + sin * offset[:, None] >> SINE_BITS) + bent
        q = (cos * offset[:, None] - sin * offset >> SINE_BITS) + bent
        row, column = np.nonzero(rounded(p, q, long, across, bool(boxy)) < 1 << 16)
        material = materials[int(rng.integers(len(materials)))]
        light = 110 + gain + p[row, column] * int(rng.integers(-60, 61)) // long
        row, column = rows[row], columns[column]
        tile = material.shape[0]
        filling = material[(row + shift) % tile, (column + 2 * shift) % tile]
        canvas[row, column] = np.clip(filling * light[:, None] >> 8, 0, 255)
    return canvas


def rounded(p: np.ndarray, q: np.ndarray, long: int, across: int, boxy: bool) -> np.ndarray:
    """Below 1 << 16 inside an ellipse of the given half axes, or a rectangle with round corners."""
    p, q = (p * p << 16) // (long * long), (q * q << 16) // (across * across)
    return (p * p + q * q >> 16) if boxy else p + q


def pattern(kind: str, rng: Generator, size: int, frequency: int) -> np.ndarray:
    """int32 (size, size) 0..255, periodic: one of KINDS with about `frequency` waves across."""
    return KINDS[kind][1](rng, size, frequency)


def octaves(rng: Generator, size: int, across: int, down: int) -> np.ndarray:
    """Value noise at every octave from (across, down) cells to the finest, stretched to 0..255."""
    total, weight = np.zeros((size, size), np.int32), 1 << 8
    roughness = int(rng.integers(ROUGHNESS[0], ROUGHNESS[1] + 1))
    while min(across, down) <= size // 2:
        total += value_noise(rng, size, min(across, size // 2), min(down, size // 2)) * weight
        across, down, weight = 2 * across, 2 * down, weight * roughness >> 8
    low, high = int(total.min()), int(total.max())
    return (total - low) * 255 // (high - low)


def value_noise(rng: Generator, size: int, across: int, down: int) -> np.ndarray:
    """int32 (size, size) 0..255: a random grid of (down, across), smoothly enlarged; periodic."""
    grid = rng.integers(0, 256, (down, across), np.int32)
    (row, below, row_weight), (column, after, weight) = (_between(size, cells) for cells in (down, across))
    rows = grid[row] * (256 - row_weight)[:, None] + grid[below] * row_weight[:, None]
    return rows[:, column] * (256 - weight) + rows[:, after] * weight >> 16


def _between(size: int, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `size` places the grid points on both sides and the second one's weight, 0..256."""
    index, fraction = np.divmod(np.arange(size, dtype=np.int32) * cells * 256 // size, 256)
    return index, (index + 1) % cells, fraction * fraction * (768 - 2 * fraction) >> 16  # smoothstep


def _draw_kind(rng: Generator) -> str:
    lots = [kind for kind, (share, _) in KINDS.items() for _ in range(share)]
    return lots[int(rng.integers(len(lots)))]


def _noise(rng: Generator, size: int, frequency: int) -> np.ndarray:
    return octaves(rng, size, frequency, frequency)


def _fibres(rng: Generator, size: int, frequency: int) -> np.ndarray:
    cells = [frequency, min(6 * frequency, size // 4)]
    return octaves(rng, size, *(cells if rng.integers(2) else cells[::-1]))


def _gradient(rng: Generator, size: int, frequency: int) -> np.ndarray:
    return _shape(_wave(rng, size, 1), 1)


def _stripes(rng: Generator, size: int, frequency: int) -> np.ndarray:
    return _shape(_wave(rng, size, frequency), int(rng.integers(1, 7)))


def _checks(rng: Generator, size: int, frequency: int) -> np.ndarray:
    product = _wave(rng, size, frequency) * _wave(rng, size, frequency)
    return _shape(product >> SINE_BITS, int(rng.integers(1, 7)))


def _dots(rng: Generator, size: int, frequency: int) -> np.ndarray:
    """Only the crests where two waves are high."""
    crests = (_wave(rng, size, frequency) + _wave(rng, size, frequency)) // 2 - (1 << SINE_BITS - 2)
    return _shape(crests, 2 * int(rng.integers(1, 7)))


def _wave(rng: Generator, size: int, frequency: int) -> np.ndarray:
    """A sine wave in a random direction, bent by noise; (size, size), times 1 << SINE_BITS."""
    across, down = (int(n) for n in rng.integers(-frequency, frequency + 1, 2))
    if abs(across) + abs(down) < frequency:
        across = frequency
    row, column = np.mgrid[:size, :size]
    bend = value_noise(rng, size, 4, 4) * int(rng.integers(0, 1 + TURN // 512))
    return sine((across * column + down * row) * TURN // size + bend + int(rng.integers(TURN)))


def _patches(rng: Generator, size: int, frequency: int) -> np.ndarray:
    """Flat cells around random points (a Voronoi diagram on the torus)."""
    row, column = np.mgrid[:size, :size]
    nearest = np.full((size, size), 2 * size * size)
    value = np.zeros((size, size), np.int32)
    for x, y, level in rng.integers(0, [size, size, 256], (3 * frequency, 3)):
        dx, dy = np.abs(column[:1] - x), np.abs(row[:, :1] - y)
        distance = np.minimum(dx, size - dx) ** 2 + np.minimum(dy, size - dy) ** 2
        closer = distance < nearest
        nearest[closer], value[closer] = distance[closer], level
    return value


def _shape(wave: np.ndarray, sharpness: int) -> np.ndarray:
    """A wave as 0..255; sharpness 1 keeps it smooth, more cuts it towards a square wave."""
    return np.clip(128 + (wave * sharpness >> SINE_BITS - 7), 0, 255).astype(np.int32)


def _blend(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(H, W, 3) from `start` to `end` as `weight` (H, W) goes 0..255."""
    return start + (end - start) * weight[..., None] // 255


# Kinds of patterns, and how often each is drawn: nature is seldom striped.
KINDS: dict[str, tuple[int, Callable[[Generator, int, int], np.ndarray]]] = {
    "noise": (4, _noise),
    "fibres": (3, _fibres),
    "gradient": (2, _gradient),
    "patches": (2, _patches),
    "stripes": (1, _stripes),
    "checks": (1, _checks),
    "dots": (1, _dots),
}
