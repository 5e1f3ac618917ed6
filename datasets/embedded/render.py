"""From a scene to frames and masks, in integers only."""

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import PX, SINE_BITS, cosine, sine
from datasets.embedded.scene import Layer, Scene, Stage

OVERSAMPLE = 2  # samples along each side of a pixel
NOISE = 3  # the sensor's, of 255


def render_mask(scene: Scene, stage: Stage, index: int) -> np.ndarray:
    """uint8 (H, W) object ids of frame `index`: whichever covers most of the pixel."""
    return _ids(_composite(scene, stage, index))


def render(scene: Scene, stage: Stage, index: int, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """(frame uint8 (H, W, 3) RGB, mask uint8 (H, W) object ids) of frame `index`."""
    planes = _composite(scene, stage, index)
    picture = planes[..., :3]
    blurred = box_blur(picture, scene.blur_radius)
    picture = picture + ((blurred - picture) * scene.blur[index] >> 8)
    right = np.arange(stage.width) * 256 // stage.width - 128
    down = np.arange(stage.height) * 256 // stage.height - 128
    tilt = (right * scene.tilt[index, 0] >> 8) + (down[:, None] * scene.tilt[index, 1] >> 8)
    picture = picture * (scene.light[index] + tilt[..., None]) >> 8
    picture = picture + rng.integers(-NOISE, NOISE + 1, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), _ids(planes)


def box_blur(image: np.ndarray, radius: int) -> np.ndarray:
    """Mean over (2 radius + 1)**2 pixels, edges repeated; integer (H, W, C), rounded down."""
    width = 2 * radius + 1
    sums = np.pad(image, ((radius + 1, radius), (radius + 1, radius), (0, 0)), mode="edge")
    sums = sums.cumsum(axis=0)
    sums = (sums[width:] - sums[:-width]).cumsum(axis=1)
    return (sums[:, width:] - sums[:, :-width]) // (width * width)


def sample(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bilinear look-up, int32 (..., C), at column `u` and row `v` in 1/65536 texel; the texture repeats."""
    size = texture.shape[0]
    flat = texture.reshape(size * size, -1)
    left, top = u >> 16 & size - 1, (v >> 16 & size - 1) * size
    right, bottom = left + 1 & size - 1, top + size & size * size - 1
    fu = (u >> 8 & 255).astype(np.int32)[..., None]
    fv = (v >> 8 & 255).astype(np.int32)[..., None]
    upper = flat.take(top + left, axis=0) * (256 - fu) + flat.take(top + right, axis=0) * fu
    lower = flat.take(bottom + left, axis=0) * (256 - fu) + flat.take(bottom + right, axis=0) * fu
    return upper * (256 - fv) + lower * fv >> 16


def _composite(scene: Scene, stage: Stage, index: int) -> np.ndarray:
    """int32 (H, W, 3 + objects + 1): RGB, then how much of the pixel each id covers (0..255), 0 first.

    An id's cover is one more colour to lay over the others, so hidden parts leave the mask as they
    leave the picture.
    """
    height, width = stage.height * OVERSAMPLE, stage.width * OVERSAMPLE
    planes = np.zeros((height, width, 4 + scene.objects), np.int32)
    for layer in scene.layers:
        rows, columns = _box(layer, index, height, width)
        if not (rows and columns):
            continue
        colour, alpha = _look_up(layer, index, rows, columns)
        source = np.zeros((len(rows), len(columns), planes.shape[2]), np.int32)
        source[..., :3] = colour
        source[..., 3 + layer.object_id] = 255
        below = planes[rows.start : rows.stop, columns.start : columns.stop]
        below += (source - below) * alpha >> 8
    pixels = planes.reshape(stage.height, OVERSAMPLE, stage.width, OVERSAMPLE, -1)
    return pixels.sum(axis=(1, 3), dtype=np.int32) // OVERSAMPLE**2


def _ids(planes: np.ndarray) -> np.ndarray:
    return planes[..., 3:].argmax(axis=2).astype(np.uint8)


def _box(layer: Layer, index: int, height: int, width: int) -> tuple[range, range]:
    """The rows and columns of samples that the layer may touch."""
    if layer.reach is None:
        return range(height), range(width)
    half = (layer.reach << 16) // int(layer.zoom[index]) + 1
    column, row = (int(at) * OVERSAMPLE // PX for at in layer.path[index])
    half *= OVERSAMPLE
    rows = range(max(row - half, 0), min(row + half + 1, height))
    return rows, range(max(column - half, 0), min(column + half + 1, width))


def _look_up(layer: Layer, index: int, rows: range, columns: range) -> tuple[np.ndarray, np.ndarray]:
    """The layer's colour (R, C, 3) and opacity (R, C, 1) 0..256 at the given samples."""
    dx = (2 * np.array(columns) + 1) * PX // (2 * OVERSAMPLE) - layer.path[index, 0]
    dy = ((2 * np.array(rows) + 1) * PX // (2 * OVERSAMPLE) - layer.path[index, 1])[:, None]
    cos, sin = cosine(layer.angle[index]), sine(layer.angle[index])
    u = (cos * dx + sin * dy >> SINE_BITS) * layer.zoom[index] // PX
    v = (cos * dy - sin * dx >> SINE_BITS) * layer.zoom[index] // PX
    u = u + (sine((v * layer.waves >> 16) + layer.phase[index, 0]) * layer.sway >> SINE_BITS)
    v = v + (sine((u * layer.waves >> 16) + layer.phase[index, 1]) * layer.sway >> SINE_BITS)
    size = layer.texture.shape[0]
    u, v = u + (size << 15), v + (size << 15)
    if layer.reach is not None:  # the border of a sprite is transparent; the texture must not repeat
        last = (size - 1 << 16) - 1
        u, v = u.clip(0, last), v.clip(0, last)
    texel = sample(layer.texture, u, v)
    alpha = texel[..., 3:]
    return texel[..., :3], alpha + (alpha >> 7)
