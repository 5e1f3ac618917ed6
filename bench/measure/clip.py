"""A video to time methods on: a moving texture whose frames, as JPEG files, are of a natural video's size."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

OCTAVES = (64, 16, 4)  # pixels between the points of the noise that is summed
STEP = 3  # pixels that the texture moves from frame to frame
QUALITY = 95


def moving_texture(frames: int, height: int, width: int) -> list[np.ndarray]:
    """`frames` frames uint8 (H, W, 3) RGB of smooth noise that moves to the right; always the same."""
    noise, texture = np.random.default_rng(0), np.zeros((height, width, 3), np.float32)
    for cell in OCTAVES:
        points = noise.uniform(-1, 1, (height // cell + 2, width // cell + 2, 3)).astype(np.float32) * cell**0.5
        texture += cv2.resize(points, (width, height), interpolation=cv2.INTER_CUBIC)
    image = np.clip(127 + 12 * texture, 0, 255).astype(np.uint8)
    return [np.roll(image, STEP * t, axis=1) for t in range(frames)]


def write_frames(frames: list[np.ndarray], folder: Path) -> list[Path]:
    """Write 00000.jpg, 00001.jpg, ... and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:05d}.jpg" for index in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        Image.fromarray(frame).save(path, quality=QUALITY)
    return paths
