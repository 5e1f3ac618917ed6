"""Random geometry and colour that the frames of a training clip share.

Geometry is a 3x3 matrix that takes an output pixel to a source pixel, so that steps compose by `@`
and an image is sampled once. Integer coordinates are pixel centres. Colour is a 4x4 matrix over
(R, G, B, 1), for the same reason.
"""

from functools import partial

import cv2
import numpy as np

SMALLEST_OBJECT = 0.001  # of the frame's area; a smaller object is not worth following
LUMA = np.array([0.299, 0.587, 0.114])


def augment_clip(
    frames: list[np.ndarray], masks: list[np.ndarray], size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A square crop of a real clip: uint8 (T, S, S, 3) RGB and uint8 (T, S, S) ids.

    `frames` are uint8 (H, W, 3), `masks` uint8 (H, W), all of one size. As in STCN (its VOSDataset):
    a resized crop of 36-100 % of the area, a flip, a colour change and, for one clip in twenty, grey
    are shared by all frames; each frame gets a small affine and a small colour change of its own. STCN
    turns each frame alone by up to 15 degrees; ours shares 10 of them and leaves 5 to the frame, so
    that the motion seen is mostly the video's own.
    """
    window = choose_window(np.stack(masks), rng)
    shared = window_to_source(window, size, flip=rng.random() < 0.5)
    shared = shared @ random_affine(rng, size, degrees=10, shear=5, scale=0.05, shift=0.0)
    colour = random_colour(rng, 0.1, grey=0.05)
    clip_frames = np.empty((len(frames), size, size, 3), np.uint8)
    clip_masks = np.empty((len(frames), size, size), np.uint8)
    for t, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        own = random_affine(rng, size, degrees=5, shear=5, scale=0.03, shift=0.02)
        warped, clip_masks[t] = warp(frame, mask, shared @ own, size)
        clip_frames[t] = recolour(warped, random_colour(rng, 0.02) @ colour)
    return clip_frames, clip_masks


def visible_objects(mask: np.ndarray) -> np.ndarray:
    """Ids (not 0, not void 255) that cover at least 0.1 % of the mask, increasing."""
    areas = np.bincount(mask.ravel(), minlength=256)
    areas[[0, 255]] = 0
    return np.flatnonzero(areas >= max(1, SMALLEST_OBJECT * mask.size))


def choose_window(masks: np.ndarray, rng: np.random.Generator, tries: int = 5) -> tuple[float, float, float, float]:
    """A random window (x, y, width, height) in pixels that keeps one object of the first mask in view.

    `masks` is (T, H, W). Its area is 36-100 % of the frame's and its sides' ratio 3:4 to 4:3 before it
    is cut to the frame. Takes the first of `tries` windows that keeps 70 % of the object in every
    frame, otherwise the one that keeps most.
    """
    height, width = masks.shape[1:]
    ids = visible_objects(masks[0])
    target = masks == rng.choice(ids) if len(ids) else np.ones_like(masks, bool)
    ys, xs = np.nonzero(target[0])
    # Counting the object on every fourth pixel is enough to compare windows.
    points = [np.argwhere(frame[::4, ::4]) * 4.0 for frame in target]
    best, best_kept = (0.0, 0.0, float(width), float(height)), -1.0
    for _ in range(tries):
        side, ratio = np.sqrt(height * width * rng.uniform(0.36, 1.0)), np.sqrt(rng.uniform(3 / 4, 4 / 3))
        w, h = min(width, side * ratio), min(height, side / ratio)
        anchor = rng.integers(len(xs))
        x = rng.uniform(max(0, xs[anchor] - w), min(width - w, xs[anchor]))
        y = rng.uniform(max(0, ys[anchor] - h), min(height - h, ys[anchor]))
        low, high = np.array([y, x]), np.array([y + h, x + w])
        kept = min(((p >= low) & (p < high)).all(1).mean() if len(p) else 1.0 for p in points)
        if kept > best_kept:
            best, best_kept = (x, y, w, h), kept
        if kept >= 0.7:
            break
    return best


def window_to_source(window: tuple[float, float, float, float], size: int, flip: bool) -> np.ndarray:
    """3x3 from a size x size output to the window (x, y, width, height) of the source."""
    x, y, w, h = window
    step_x, step_y = w / size, h / size
    matrix = np.array([[step_x, 0, x + step_x / 2 - 0.5], [0, step_y, y + step_y / 2 - 0.5], [0, 0, 1.0]])
    mirror = np.array([[-1, 0, size - 1], [0, 1, 0], [0, 0, 1.0]])
    return matrix @ mirror if flip else matrix


def affine_about(
    centre: tuple[float, float], angle: float, shear: float, scale: float, shift: tuple[float, float]
) -> np.ndarray:
    """3x3: shear and turn by radians and grow by `scale` about `centre`, then shift by pixels."""
    cos, sin = np.cos(angle), np.sin(angle)
    linear = scale * np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, np.tan(shear)], [0, 1]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.array(centre) - linear @ centre + shift
    return matrix


def random_affine(
    rng: np.random.Generator, size: int, *, degrees: float, shear: float, scale: float, shift: float
) -> np.ndarray:
    """3x3 affine about the centre of a size x size frame, uniform within +- the limits.

    `degrees` and `shear` are in degrees, `scale` is in log scale, `shift` a fraction of `size`.
    """
    angle, slant = np.deg2rad(rng.uniform(-degrees, degrees)), np.deg2rad(rng.uniform(-shear, shear))
    centre = (size / 2 - 0.5, size / 2 - 0.5)
    grow = np.exp(rng.uniform(-scale, scale))
    return affine_about(centre, angle, slant, grow, tuple(rng.uniform(-shift, shift, 2) * size))


def shrink(image: np.ndarray, to_source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average an image down to about the output's resolution and give the 3x3 from the output to the new pixels.

    Sampling an image at every n-th pixel would alias; fewer than 1.25 pixels per output pixel change nothing.
    """
    height, width = image.shape[:2]
    step = float(np.sqrt(abs(np.linalg.det(to_source[:2, :2]))))  # source pixels per output pixel along a side
    if step < 1.25:
        return image, to_source
    w, h = max(1, round(width / step)), max(1, round(height / step))
    sx, sy = w / width, h / height
    to_small = np.array([[sx, 0, sx / 2 - 0.5], [0, sy, sy / 2 - 0.5], [0, 0, 1.0]])
    return cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA), to_small @ to_source


def warp(image: np.ndarray, mask: np.ndarray, to_source: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Sample an image (linear) and its mask (nearest) at size x size; both are mirrored at the border."""
    small, to_small = shrink(image, to_source)
    sample = partial(cv2.warpAffine, dsize=(size, size), borderMode=cv2.BORDER_REFLECT_101)
    frame = sample(small, to_small[:2], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return frame, sample(mask, to_source[:2], flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)


def random_colour(rng: np.random.Generator, strength: float, grey: float = 0.0) -> np.ndarray:
    """4x4 colour change: brightness, contrast, saturation and white balance within +- `strength`.

    `grey` is the probability of no colour at all.
    """
    brightness, contrast, saturation = rng.uniform(-strength, strength, 3)
    balance = rng.uniform(-strength, strength, 3) / 3
    keep = 1 + saturation
    if rng.random() < grey:
        keep, balance = 0.0, np.zeros(3)
    matrix = np.eye(4)
    matrix[:3, :3] = (1 + contrast) * np.diag(1 + balance) @ (keep * np.eye(3) + (1 - keep) * LUMA)
    matrix[:3, 3] = 255 * brightness - 128 * contrast
    return matrix


def recolour(frame: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Apply a 4x4 colour change to uint8 (H, W, 3), clipped to 0..255."""
    return cv2.transform(frame, colour[:3])
