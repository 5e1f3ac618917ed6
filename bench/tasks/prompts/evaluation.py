"""What a network that answers prompts is evaluated by, on given images; and a picture of it."""

from collections.abc import Sequence as Items
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from bench.plan.questions import Questions
from bench.score.pictures import overlay_strip
from bench.system.files import write_json
from bench.tasks.prompts.exam import Exam, fields_of
from datasets.static import StillImage
from methods.sam.frames import input_size
from methods.sam.network import Sam

PICTURED = 6


def evaluate_answers(
    model: Sam, teacher: Sam | None, images: Items[StillImage], prompts: dict, folder: Path, device: str, label: str
) -> dict:
    """The record's fields; `folder` gets `scores.json`, the IoU of every prompt, and `overlay.png`.

    teacher: None for a network that was taught by nobody; it is compared with the labels alone.
    """
    exam = Exam(images, model.image_size, Questions(**prompts), teacher, device)
    grades = exam.grade(model, f"evaluate {label}")
    write_json(folder / "scores.json", asdict(grades))
    _draw(exam, model, folder / "overlay.png")
    resolution = f"{model.image_size}x{model.image_size}"
    return {**fields_of(grades, prompts), "resolution": resolution, "overlay": str(folder / "overlay.png")}


def _draw(exam: Exam, model: Sam, path: Path) -> None:
    """What the network answers to the first point on some of the images, and the point."""
    chosen = np.unique(np.linspace(0, len(exam.questions) - 1, PICTURED).round().astype(int))
    frames, masks = [], []
    for number in chosen.tolist():
        question = exam.questions[number]
        frame = question.still.read()[0].copy()
        mask = _at_frame(exam.masks(model, number)[0], frame.shape[:2], exam.side)
        x, y = question.prompts["point"].points[0, 0, 0].tolist()
        scale = max(frame.shape[:2]) / exam.side
        cv2.circle(frame, (int(x * scale), int(y * scale)), max(2, frame.shape[0] // 40), (255, 210, 0), -1)
        frames.append(frame)
        masks.append(mask)
    overlay_strip(frames, masks, path)


def _at_frame(mask: Tensor, size: tuple[int, int], side: int) -> np.ndarray:
    """A low-resolution mask, bool (S / 4, S / 4), as uint8 (H, W)."""
    height, width = input_size(*size, side)
    full = cv2.resize(mask.numpy().astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(full[:height, :width], size[::-1], interpolation=cv2.INTER_NEAREST)
