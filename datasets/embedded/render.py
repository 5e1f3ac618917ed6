"""From a scene to frames and masks, in integers only."""

import numpy as np
from numpy.random import Generator

from datasets.embedded.fixed import PX, SINE_BITS, cosine, sine
from datasets.embedded.motion import Stage
from datasets.embedded.scene import Scene
from datasets.embedded.things import Layer

OVERSAMPLE = 2  # samples along each side of a pixel
NOISE = 3  # the sensor's, of 255


def render_mask(scene: Scene, stage: Stage, index: int) -> np.ndarray:
    """uint8 (H, W) object ids of frame `index`: whichever covers most of the pixel. Needs no textures."""
    return _composite(scene, stage, index)[1]


def render(scene: Scene, stage: Stage, index: int, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """(frame uint8 (H, W, 3) RGB, mask uint8 (H, W) object ids) of frame `index` of a painted scene."""
    picture, mask = _composite(scene, stage, index)
    blurred = box_blur(picture, scene.blur_radius)
    picture = picture + ((blurred - picture) * scene.blur[index] >> 8)
    right = np.arange(stage.width) * 256 // stage.width - 128
    down = np.arange(stage.height) * 256 // stage.height - 128
    tilt = (right * scene.tilt[index, 0] >> 8) + (down[:, None] * scene.tilt[index, 1] >> 8)
    picture = picture * (scene.light[index] + tilt[..., None]) >> 8
    picture = picture + rng.integers(-NOISE, NOISE + 1, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), mask


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


def _composite(scene: Scene, stage: Stage, index: int) -> tuple[np.ndarray, np.ndarray]:
    """(picture int32 (H, W, 3), ids uint8 (H, W)); the picture is black where the scene is not painted.

    Each sample is the front layer's alone, in the picture as in the mask. The background, whose texels are no
    smaller than pixels, is looked up once a pixel.
    """
    height, width = stage.height * OVERSAMPLE, stage.width * OVERSAMPLE
    colours, ids = np.zeros((height * width, 3), np.int32), np.zeros(height * width, np.uint8)
    background, *things = scene.layers
    if scene.materials:
        dx, dy = (np.arange(n) * PX + PX // 2 for n in (stage.width, stage.height))
        colour = _colours(scene, background, index, *_texels(background, index, dx, dy))
        colours[:] = colour.repeat(OVERSAMPLE, axis=0).repeat(OVERSAMPLE, axis=1).reshape(-1, 3)
    for layer in things:
        rows, columns = _box(layer, index, height, width)
        if not (rows and columns) or (layer.object_id is None and not scene.materials):
            continue
        x, y = ((2 * np.array(at) + 1) * PX // (2 * OVERSAMPLE) for at in (columns, rows))
        u, v = _texels(layer, index, x, y)
        opacity = _opacity(layer, u, v)
        hit = np.flatnonzero(opacity >= 128 if layer.object_id is not None else opacity)
        row, column = np.divmod(hit, len(columns))
        at = (row + rows.start) * width + column + columns.start
        if layer.object_id is None:
            colours[at] = colours[at] * (256 - opacity.ravel()[hit])[:, None] >> 8
            continue
        ids[at] = layer.object_id
        if scene.materials:
            u, v = u.ravel()[hit], v.ravel()[hit]
            sun = (x[column] * layer.sun[0] + y[row] * layer.sun[1] - layer.path[index] @ layer.sun) >> SINE_BITS
            shade = (_shading(layer, u, v) + sun).clip(0, 512).astype(np.int32)
            colours[at] = (_colours(scene, layer, index, u, v) * shade[:, None] >> 8).clip(0, 255)
    covers = [_pool((ids == i).reshape(height, width).view(np.uint8)) for i in range(scene.objects + 1)]
    picture = _pool(colours.reshape(height, width, 3)) // OVERSAMPLE**2
    return picture, np.argmax(covers, axis=0).astype(np.uint8)


def _pool(samples: np.ndarray) -> np.ndarray:
    """The sums over the samples of each pixel."""
    corners = [(i, j) for i in range(OVERSAMPLE) for j in range(OVERSAMPLE)]
    return np.stack([samples[i::OVERSAMPLE, j::OVERSAMPLE] for i, j in corners]).sum(0, dtype=np.int64)


def _box(layer: Layer, index: int, height: int, width: int) -> tuple[range, range]:
    """The rows and columns of samples that the layer may touch."""
    cos, sin = abs(int(cosine(layer.angle[index]))), abs(int(sine(layer.angle[index])))
    long, across = layer.reach
    zoom = int(layer.zoom[index]) << SINE_BITS
    right = (((cos * long + sin * across) << 16) // zoom + 1) * OVERSAMPLE
    down = (((sin * long + cos * across) << 16) // zoom + 1) * OVERSAMPLE
    column, row = (int(at) * OVERSAMPLE // PX for at in layer.path[index])
    rows = range(max(row - down, 0), min(row + down + 1, height))
    return rows, range(max(column - right, 0), min(column + right + 1, width))


def _texels(layer: Layer, index: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the points at columns `x` and rows `y`, in 1/PX px, lie in the shape: 1/65536 texel from its middle."""
    dx = (x - layer.path[index, 0]) * 256 // layer.squash[index]
    dy = (y - layer.path[index, 1])[:, None]
    cos, sin = cosine(layer.angle[index]) * layer.zoom[index], sine(layer.angle[index]) * layer.zoom[index]
    u = (cos * dx >> SINE_BITS + 8) + (sin * dy >> SINE_BITS + 8)
    v = (cos * dy >> SINE_BITS + 8) - (sin * dx >> SINE_BITS + 8)
    if layer.sway:
        u = u + (sine((v * layer.waves >> 16) + layer.phase[index, 0]) * layer.sway >> SINE_BITS)
        v = v + (sine((u * layer.waves >> 16) + layer.phase[index, 1]) * layer.sway >> SINE_BITS)
    return u, v


def _opacity(layer: Layer, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """0..255 at these places of the shape. Its border is transparent: beyond it lies nothing."""
    assert layer.shape is not None
    size = layer.shape.shape[0]
    last = (size - 1 << 16) - 1
    return sample(layer.shape[..., 0], (u + (size << 15)).clip(0, last), (v + (size << 15)).clip(0, last))[..., 0]


def _shading(layer: Layer, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    assert layer.shape is not None
    size = layer.shape.shape[0]
    return layer.shape[..., 1].take(((v >> 16) + size // 2) * size + (u >> 16) + size // 2, mode="clip")


def _colours(scene: Scene, layer: Layer, index: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The texture's colours int32 (..., 3) at these places of the shape."""
    slide = layer.slide[index]
    colour = sample(scene.materials[layer.material], u * layer.grain + slide[0], v * layer.grain + slide[1])
    return colour * layer.gain[index].astype(np.int32) >> 8
