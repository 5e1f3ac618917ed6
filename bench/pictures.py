"""Pictures of masks over frames."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bench.files import replace_atomically
from datasets.images import davis_palette

PANEL_HEIGHT = 160


def overlay(frame: np.ndarray, mask: np.ndarray, opacity: float = 0.45) -> np.ndarray:
    """Tint every object of a uint8 (H, W, 3) frame with its DAVIS colour and outline it in white."""
    colours = np.array(davis_palette(), np.uint8).reshape(256, 3)[mask]
    tinted = np.where((mask > 0)[..., None], (1 - opacity) * frame + opacity * colours, frame).astype(
        np.uint8
    )
    outline = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    tinted[outline] = 255
    return tinted


def overlay_strip(frames: list[np.ndarray], masks: list[np.ndarray], path: Path) -> None:
    """One row of overlays, all of the same height, as a PNG."""
    panels = [_scaled(overlay(frame, mask)) for frame, mask in zip(frames, masks, strict=True)]
    picture = Image.fromarray(np.concatenate(panels, 1))
    replace_atomically(path, picture.save)


def is_picture(path: Path) -> bool:
    """Whether a PNG is there and whole."""
    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError):  # Pillow raises SyntaxError for a broken PNG chunk
        return False
    return True


def _scaled(panel: np.ndarray) -> np.ndarray:
    width = round(panel.shape[1] * PANEL_HEIGHT / panel.shape[0])
    return cv2.resize(panel, (width, PANEL_HEIGHT), interpolation=cv2.INTER_AREA)
