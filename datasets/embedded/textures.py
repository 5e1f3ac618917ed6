"""Random textures in integer arithmetic: noise, waves, checks, dots and patches in a few colours."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import SINE_BITS, TURN, sine

KINDS = ("noise", "gradient", "stripes", "checks", "dots", "patches")
LIKENESS = 28  # how far a look-alike's colours may lie from the original's, of 255


@dataclass(frozen=True)
class Recipe:
    """How to paint a texture; two paintings of one recipe look alike but are not the same.

    `base` blends colours 0 and 1, `detail` lays colour 2 over them (both of KINDS). `frequency` is
    in waves per texture, `colours` is (3, 3) RGB 0..255.
    """

    base: str
    detail: str
    frequency: int
    colours: np.ndarray

    def alike(self, rng: Generator) -> "Recipe":
        """The recipe of a look-alike: same patterns, colours a little off."""
        jitter = rng.integers(-LIKENESS, LIKENESS + 1, (3, 3))
        return replace(self, colours=np.clip(self.colours + jitter, 0, 255))


def draw_recipe(rng: Generator, frequency: tuple[int, int]) -> Recipe:
    """A random recipe with `frequency` in the given range, inclusive."""
    base, detail = (KINDS[i] for i in rng.integers(len(KINDS), size=2))
    colours = rng.integers(15, 241, (3, 3))
    # Halfway to grey at most: pure random colours are gaudier than any video.
    grey = colours.sum(axis=1, keepdims=True) // 3
    colours += (grey - colours) * int(rng.integers(0, 6)) // 10
    return Recipe(base, detail, int(rng.integers(frequency[0], frequency[1] + 1)), colours)


def paint(recipe: Recipe, rng: Generator, size: int) -> np.ndarray:
    """int64 (size, size, 3) 0..255 that repeats without a seam; `size` is a power of two."""
    image = _blend(recipe.colours[0], recipe.colours[1], pattern(recipe.base, rng, size, recipe.frequency))
    detail = pattern(recipe.detail, rng, size, 2 * recipe.frequency)
    cover = np.clip((pattern("noise", rng, size, 2) - 110) * 6, 0, 255)
    image = _blend(image, recipe.colours[2], detail * cover // 255)
    grain = pattern("noise", rng, size, size // 8) - 128
    return np.clip(image + (grain * int(rng.integers(20, 90)) // 256)[..., None], 0, 255)


def pattern(kind: str, rng: Generator, size: int, frequency: int) -> np.ndarray:
    """int64 (size, size) 0..255, periodic: one of KINDS with about `frequency` waves across."""
    if kind == "noise":
        return _octaves(rng, size, frequency)
    if kind == "patches":
        return _patches(rng, size, 3 * frequency)
    if kind == "gradient":
        return _shape(_wave(rng, size, 1), 1)
    first, sharpness = _wave(rng, size, frequency), int(rng.integers(1, 7))
    if kind == "stripes":
        return _shape(first, sharpness)
    second = _wave(rng, size, frequency)
    if kind == "checks":
        return _shape(first * second >> SINE_BITS, sharpness)
    # Only the crests where both waves are high: dots.
    return _shape((first + second) // 2 - (1 << SINE_BITS - 2), 2 * sharpness)


def value_noise(rng: Generator, size: int, cells: int) -> np.ndarray:
    """int64 (size, size) 0..255: a random grid of (cells, cells), smoothly enlarged; periodic."""
    grid = rng.integers(0, 256, (cells, cells))
    index, fraction = np.divmod(np.arange(size) * cells * 256 // size, 256)
    after = (index + 1) % cells
    weight = fraction * fraction * (768 - 2 * fraction) >> 16  # smoothstep, 0..256
    rows = grid[index] * (256 - weight)[:, None] + grid[after] * weight[:, None]
    return rows[:, index] * (256 - weight) + rows[:, after] * weight >> 16


def _octaves(rng: Generator, size: int, cells: int) -> np.ndarray:
    """Value noise at four octaves, each half as strong as the one before, stretched to the full range."""
    total = np.zeros((size, size), np.int64)
    for octave in range(4):
        total += value_noise(rng, size, min(cells << octave, size // 2)) >> octave
    low, high = int(total.min()), int(total.max())
    return (total - low) * 255 // (high - low)


def _wave(rng: Generator, size: int, frequency: int) -> np.ndarray:
    """A sine wave in a random direction, bent by noise; (size, size), times 1 << SINE_BITS."""
    across, down = (int(n) for n in rng.integers(-frequency, frequency + 1, 2))
    if abs(across) + abs(down) < frequency:
        across = frequency
    row, column = np.mgrid[:size, :size]
    bend = value_noise(rng, size, 4) * int(rng.integers(0, 1 + TURN // 512))
    return sine((across * column + down * row) * TURN // size + bend + int(rng.integers(TURN)))


def _patches(rng: Generator, size: int, count: int) -> np.ndarray:
    """Flat cells around `count` random points (a Voronoi diagram on the torus)."""
    row, column = np.mgrid[:size, :size]
    nearest = np.full((size, size), 2 * size * size)
    value = np.zeros((size, size), np.int64)
    for x, y, level in rng.integers(0, [size, size, 256], (count, 3)):
        dx, dy = np.abs(column - x), np.abs(row - y)
        distance = np.minimum(dx, size - dx) ** 2 + np.minimum(dy, size - dy) ** 2
        closer = distance < nearest
        nearest[closer], value[closer] = distance[closer], level
    return value


def _shape(wave: np.ndarray, sharpness: int) -> np.ndarray:
    """A wave as 0..255; sharpness 1 keeps it smooth, more cuts it towards a square wave."""
    return np.clip(128 + (wave * sharpness >> SINE_BITS - 7), 0, 255)


def _blend(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(H, W, 3) from `start` to `end` as `weight` (H, W) goes 0..255."""
    return start + (end - start) * weight[..., None] // 255
