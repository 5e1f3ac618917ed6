"""A still image with a mask becomes a clip: the pre-training of STM, STCN and their heirs.

A clip is a stack of layers, each an image that moves on its own (motion.py): the picture, with its objects or with
them cut out and moving apart from it or from another scene; at times the objects of a partner picture; at times an
occluder. Velocities change little from frame to frame, so that motion accumulates as in a video (STCN, by
contrast, draws each frame's afresh). What moves is smeared along its way, as by a shutter.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from datasets.augment import choose_window, random_colour, recolour, shrink, visible_objects, window_to_source
from datasets.motion import line_kernel, random_path, upsample, velocity

COVER = 255  # in a layer's ids: hides what is below but is no object
QUALITY = (25, 90)  # of JPEG
PACE = 0.1**0.5  # `motion` from frame to frame of a video (datasets.clips)
TURN = 24  # frames after which what is pasted on a video moves back
REDRAWS = 20

Picture = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Synthesis:
    """How clips are made; the values are ours, those up to `smear` shares of the clips, 0 to 1.

    cut_out: their objects move apart from the background; new_scene: that of those is another photo's.
    partner: the objects of a second photo join. occluder: something passes in front, an object of another photo's
    where there is one. limbs: objects bend by parts. smear: of motion. compressed: as JPEGs.
    speeds: standard deviation of the logarithm of a layer's speed. smallest: the least long side of a partner's
    objects together, of the frame.
    """

    cut_out: float = 0.5
    new_scene: float = 0.5
    partner: float = 0.5
    occluder: float = 0.3
    limbs: float = 0.5
    smear: float = 0.4
    compressed: float = 0.3
    speeds: float = 0.5
    smallest: float = 0.15


DEFAULT = Synthesis()


@dataclass(frozen=True)
class Shot:
    """What the layers of one clip have in common. shutter: how much of a step's motion is smeared."""

    length: int
    size: int
    rng: np.random.Generator
    motion: float
    settings: Synthesis
    shutter: float

    def path(self, centre: tuple[float, float], speed: float = 1.0, limbs=None) -> np.ndarray:
        speed *= self.motion * np.exp(self.rng.normal(0, self.settings.speeds))
        limbs = limbs if self.rng.random() < self.settings.limbs else None
        return random_path(self.length, self.size, centre, self.rng, speed, limbs)


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
    partner: Picture | None = None,
    other: Picture | None = None,
    motion: float = 1.0,
    settings: Synthesis = DEFAULT,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a still image into a clip: uint8 (T, S, S, 3) RGB and uint8 (T, S, S) ids.

    `image` is uint8 (H, W, 3), `mask` uint8 (H, W) with 0 = background and 255 = void (becomes
    background). The objects of `partner` (image, mask) are pasted on top, their ids raised above
    those of `mask`; `other` gives scenes and occluders. Ids are kept; an object that does not show in the first
    frame is background in all of them. `motion` scales the speed, 1 is about 3 % of the frame a step.
    """
    shutter = rng.uniform(0.2, 1.0) if rng.random() < settings.smear else 0.0
    shot = Shot(length, size, rng, motion, settings, shutter)
    mask = np.where(mask == COVER, 0, mask).astype(np.uint8)
    layers = _picture(shot, image, mask, other)
    if partner is not None:
        layers += _pasted(shot, partner[0], _raised(partner[1], int(mask.max(initial=0))))
    if rng.random() < settings.occluder:
        layers += _occluder(shot, image, other)

    colour = random_colour(rng, 0.1, grey=0.05)
    quality = int(rng.integers(*QUALITY)) if rng.random() < settings.compressed else None
    frames = np.empty((length, size, size, 3), np.uint8)
    masks = np.empty((length, size, size), np.uint8)
    for t in range(length):
        frame, masks[t] = _compose(layers, t, shot)
        frame = recolour(frame, random_colour(rng, 0.05) @ colour)
        frames[t] = frame if quality is None else _compress(frame, quality)
    kept = np.zeros(256, np.uint8)
    shown = visible_objects(masks[0])
    kept[shown] = shown
    return frames, kept[masks]


class Pasted:
    """Objects that move over the frames of a video as those of a partner picture do, with masks known exactly.

    size: (H, W) of the frames. pictures: image and mask each, the ids of one raised above those of the one before.
    To stay in view they move forth and back, at the pace of a video. Raises ValueError where none shows in frame 0.
    """

    def __init__(
        self,
        size: tuple[int, int],
        pictures: list[Picture],
        rng: np.random.Generator,
        settings: Synthesis = DEFAULT,
    ) -> None:
        shutter = rng.uniform(0.2, 1.0) if rng.random() < settings.smear else 0.0
        self.shot = Shot(TURN, max(size), rng, PACE, settings, shutter)
        self.window = tuple(slice((max(size) - side) // 2, (max(size) - side) // 2 + side) for side in size)
        self.shown = np.arange(256, dtype=np.uint8)
        for _ in range(REDRAWS):
            self.layers: list[Layer] = []
            highest = 0
            for image, mask in pictures:
                ids = _raised(mask, highest)
                self.layers += _pasted(self.shot, image, ids)
                highest = max(highest, int(ids.max(initial=0)))
            shown = visible_objects(self.on(np.zeros((*size, 3), np.uint8), 0)[1])
            if len(shown):
                self.shown = np.zeros(256, np.uint8)
                self.shown[shown] = np.arange(1, len(shown) + 1)
                return
        raise ValueError("no object of these pictures shows")

    def on(self, frame: np.ndarray, t: int) -> Picture:
        """Frame `t`, uint8 (H, W, 3), with the objects on it, and uint8 (H, W) ids 1..n of those in frame 0."""
        t %= 2 * (TURN - 1)
        ids = np.zeros(frame.shape[:2], np.uint8)
        for layer in self.layers:
            colour, opaque, own = (
                np.ascontiguousarray(seen[self.window])
                for seen in _seen(layer, min(t, 2 * (TURN - 1) - t), self.shot)
            )
            frame = cv2.blendLinear(colour, frame, opaque, 1 - opaque)
            ids = np.where(own > 0, own, ids)
        return frame, self.shown[ids]


def _picture(shot: Shot, image: np.ndarray, mask: np.ndarray, other: Picture | None) -> list[Layer]:
    """The still itself, mirrored at its border: one layer, or background and objects that move apart."""
    middle, mirror = ((shot.size - 1) / 2,) * 2, cv2.BORDER_REFLECT_101
    view = window_to_source(choose_window(mask[None], shot.rng), shot.size, flip=shot.rng.random() < 0.5)
    path = shot.path(middle)
    if not mask.any() or shot.rng.random() >= shot.settings.cut_out:
        return [_layer(image, mask, np.ones_like(mask, bool), view, path, border=mirror)]
    x, y, w, h = cv2.boundingRect(mask)
    corners = np.linalg.solve(view, np.array([[x, x + w], [y, y + h], [1, 1]]))[:2]
    low, high = corners.min(1), corners.max(1)
    apart = shot.path(tuple((low + high) / 2), limbs=(*low, *(high - low)))
    apart -= apart[:1]  # both begin in place
    objects, of_scene = _layer(image, mask, mask > 0, view, path + apart, border=mirror), view
    if other is not None and shot.rng.random() < shot.settings.new_scene:
        scene, nothing = other[0], np.zeros_like(other[1])
        of_scene = window_to_source(choose_window(nothing[None], shot.rng), shot.size, flip=False)
    else:
        scene, nothing = fill_hole(image, mask > 0), np.zeros_like(mask)
    return [_layer(scene, nothing, np.ones_like(nothing, bool), of_scene, path, border=mirror), objects]


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


def _raised(mask: np.ndarray, highest: int) -> np.ndarray:
    """The ids of a partner's objects above `highest`; without void, and without those for which no id is free."""
    ids = np.where((mask > 0) & (mask < COVER), mask.astype(int) + highest, 0)
    return np.where(ids < COVER, ids, 0).astype(np.uint8)


def _pasted(shot: Shot, image: np.ndarray, ids: np.ndarray, speed: float = 1.0) -> list[Layer]:
    """Objects, resized and put somewhere in the frame; nothing where there are none."""
    if not ids.any():
        return []
    x, y, w, h = cv2.boundingRect(ids)
    # At most twice its own size: pixels blown up further look unlike anything in a video.
    step = max(max(w, h) / (shot.size * shot.rng.uniform(shot.settings.smallest, 0.8)), 0.5)
    side = step if shot.rng.random() < 0.5 else -step
    put_x, put_y = shot.rng.uniform(0.2, 0.8, 2) * shot.size
    view = np.array([[side, 0, x + w / 2 - side * put_x], [0, step, y + h / 2 - step * put_y], [0, 0, 1]])
    box = (put_x - w / step / 2, put_y - h / step / 2, w / step, h / step)
    path = shot.path((put_x, put_y), speed, limbs=box)
    return [_layer(image, ids, ids > 0, view, path, border=cv2.BORDER_CONSTANT)]


def _occluder(shot: Shot, image: np.ndarray, other: Picture | None) -> list[Layer]:
    """What passes in front of everything, twice as fast: the other photo's objects, or a blob of the picture's."""
    if other is not None and other[1].any():
        return _pasted(shot, other[0], np.where(other[1] > 0, COVER, 0).astype(np.uint8), speed=2.0)
    size, rng = shot.size, shot.rng
    centre = rng.uniform(0, size, 2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 8))
    radii = rng.uniform(0.05, 0.2, 2) * rng.uniform(0.6, 1.4, (8, 1)) * size
    corners = centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    blob = cv2.fillPoly(np.zeros((size, size), np.uint8), [np.round(corners).astype(np.int32)], COVER)
    texture = cv2.resize(image[::-1, ::-1], (size, size), interpolation=cv2.INTER_AREA)
    path = shot.path(tuple(centre), 2.0)
    return [_layer(texture, blob, blob > 0, np.eye(3), path, border=cv2.BORDER_CONSTANT)]


def _layer(
    image: np.ndarray, ids: np.ndarray, opaque: np.ndarray, view: np.ndarray, path: np.ndarray, *, border: int
) -> Layer:
    """A layer whose `path` in the frame is seen through `view`, the 3x3 from frame to image pixels."""
    small, to_layer = shrink(np.dstack([image, np.where(opaque, 255, 0).astype(np.uint8)]), view)
    if small.shape[:2] != ids.shape:
        ids = cv2.resize(ids, small.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return Layer(small, ids, path @ to_layer[:2, :2].T + to_layer[:2, 2], border)


def _compose(layers: list[Layer], t: int, shot: Shot) -> Picture:
    """Frame `t` and its ids, layers from the bottom up."""
    (frame, _, ids), *above = (_seen(layer, t, shot) for layer in layers)
    for colour, opaque, own in above:
        frame = cv2.blendLinear(colour, frame, opaque, 1 - opaque)
        ids = np.where(own > 0, own, ids)
    return frame, np.where(ids == COVER, 0, ids)


def _seen(layer: Layer, t: int, shot: Shot) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What frame `t` shows of a layer: colours uint8 (S, S, 3), opacity float32 (S, S), ids uint8 (S, S)."""
    x, y = (upsample(layer.positions[t, :, :, axis], shot.size) for axis in (0, 1))
    rgba = cv2.remap(layer.rgba, x, y, cv2.INTER_LINEAR, borderMode=layer.border)
    ids = cv2.remap(layer.ids, x, y, cv2.INTER_NEAREST, borderMode=layer.border)
    colour, opaque = np.ascontiguousarray(rgba[:, :, :3]), rgba[:, :, 3].astype(np.float32) / 255
    if shot.shutter:
        colour, opaque = _smear(colour, opaque, shot.shutter * velocity(layer.positions, t, shot.size), shot.size)
    return colour, opaque, ids


def _smear(colour: np.ndarray, opaque: np.ndarray, way: np.ndarray, size: int) -> Picture:
    """Colours uint8 and opacity float32 along a way of pixels, a fifth of the frame at most.

    What is not opaque lends no colour.
    """
    way = way * min(1.0, 0.2 * size / max(float(np.hypot(*way)), 1e-6))
    if np.hypot(*way) < 1:
        return colour, opaque
    kernel = line_kernel(way)
    weighted = cv2.filter2D(np.dstack([colour * opaque[:, :, None], opaque]), -1, kernel)
    seen = weighted[:, :, 3].clip(0, 1)
    return (weighted[:, :, :3] / np.maximum(seen, 1e-3)[:, :, None]).clip(0, 255).astype(np.uint8), seen


def _compress(frame: np.ndarray, quality: int) -> np.ndarray:
    """uint8 RGB as JPEG of that quality gives it back."""
    _, data = cv2.imencode(".jpg", frame[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[:, :, ::-1])
