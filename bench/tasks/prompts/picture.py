"""A picture of what a network answers to prompts."""

from pathlib import Path

import cv2
import numpy as np

from bench.score.pictures import overlay_strip
from bench.tasks.prompts.exam import Exam, evenly
from methods.sam.frames import input_size
from methods.sam.network import Sam

PICTURED = 6


def draw_answers(exam: Exam, model: Sam, path: Path) -> None:
    """The network's answer to the first point on some of the images, and the point."""
    frames, masks = [], []
    for number in evenly(PICTURED, len(exam.questions)):
        question = exam.questions[number]
        frame = question.still.read()[0].copy()
        size = frame.shape[:2]
        height, width = input_size(*size, exam.side)
        low = exam.masks(model, number)[0].numpy().astype(np.uint8)
        full = cv2.resize(low, (exam.side, exam.side), interpolation=cv2.INTER_NEAREST)[:height, :width]
        masks.append(cv2.resize(full, size[::-1], interpolation=cv2.INTER_NEAREST))
        scale = max(size) / exam.side
        x, y = question.prompts["point"].points[0, 0, 0].tolist()
        cv2.circle(frame, (int(x * scale), int(y * scale)), max(2, size[0] // 40), (255, 210, 0), -1)
        frames.append(frame)
    overlay_strip(frames, masks, path)
