"""Pictures of masks over frames, and of what is wrong with them."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bench.record import ERROR_COLOURS
from bench.system.files import replace_atomically

PANEL_HEIGHT = 160  # px, of a strip
ERRORS_HEIGHT = 240  # px; more than the frames of the embedded set have
WIDEST = 8192  # px, of a panel: frames of a few pixels' height are not shown in proportion
# Told apart by colour-blind readers (Okabe and Ito): blue, orange, green, purple, sky blue, vermilion, yellow.
OBJECTS = np.array([
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (240, 228, 66)
], np.uint8)  # fmt: skip


def overlay(frame: np.ndarray, mask: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Tint every object of a uint8 (H, W, 3) frame with a colour of its own and outline it in white.

    mask: uint8 (H, W) object ids, 0 = background. The seven colours come again from the eighth id on.
    """
    tinted = frame.copy()
    inside = mask > 0
    colours = OBJECTS[(mask[inside] - 1) % len(OBJECTS)]
    tinted[inside] = (1 - opacity) * frame[inside] + opacity * colours
    tinted[outline(mask)] = 255
    return tinted


def errors(frame: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The frame in grey, brighter where an object was found, with errors in ERROR_COLOURS: uint8 (h, w, 3).

    frame: uint8 (H, W, 3); prediction, truth: uint8 (H, W) object ids; 255 in the truth, where nobody knows, shows
    no error. h is 240 px and w in proportion: the boundary is a line of the same width whatever the frame's size.
    """
    size = panel_size(frame, ERRORS_HEIGHT)
    known = truth != 255
    prediction, truth = np.where(known, prediction, 0), np.where(known, truth, 0)
    prediction, truth = (
        cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for mask in (prediction, truth)
    )
    smaller = size[1] < frame.shape[0]
    scaled = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    grey = 0.5 * cv2.cvtColor(scaled, cv2.COLOR_RGB2GRAY)
    picture = np.where((truth > 0) & (prediction == truth), grey + 105, grey + 20)[..., None].repeat(3, 2)
    found = {
        "missed": (truth > 0) & (prediction == 0),
        "false positive": (truth == 0) & (prediction > 0),
        "another object": (truth > 0) & (prediction > 0) & (prediction != truth),
        "true boundary": outline(truth),
    }
    for name, where in found.items():
        faint = 0 if name == "true boundary" else 0.25
        picture[where] = faint * picture[where] + (1 - faint) * np.array(ERROR_COLOURS[name])
    return picture.astype(np.uint8)


def outline(mask: np.ndarray) -> np.ndarray:
    """bool (H, W): pixels with another value among their eight neighbours, for uint8 (H, W)."""
    return cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0


def panel_size(frame: np.ndarray, height: int) -> tuple[int, int]:
    """(w, h) of a panel of this height in proportion to a frame (H, W, ...), from 1 to WIDEST px wide."""
    return min(max(1, round(frame.shape[1] * height / frame.shape[0])), WIDEST), height


def overlay_strip(frames: list[np.ndarray], masks: list[np.ndarray], path: Path) -> None:
    """One row of overlays, all of the same height, as a PNG."""
    panels = []
    for frame, mask in zip(frames, masks, strict=True):
        size = panel_size(frame, PANEL_HEIGHT)
        panels.append(cv2.resize(overlay(frame, mask), size, interpolation=cv2.INTER_AREA))
    replace_atomically(path, Image.fromarray(np.concatenate(panels, 1)).save)


def is_picture(path: Path) -> bool:
    """Whether a PNG is there and whole."""
    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, SyntaxError):  # Pillow raises SyntaxError for a broken PNG chunk
        return False
    return True
