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
        height, width = frame.shape[:2]
        rows, columns = input_size(height, width, exam.side)
        low = exam.masks(model, number)[0].numpy().astype(np.uint8)
        full = cv2.resize(low, (exam.side, exam.side), interpolation=cv2.INTER_NEAREST)[:rows, :columns]
        masks.append(cv2.resize(full, (width, height), interpolation=cv2.INTER_NEAREST))
        scale, points = max(height, width) / exam.side, question.prompts["point"].points
        assert points is not None
        x, y = points[0, 0, 0].tolist()
        cv2.circle(frame, (int(x * scale), int(y * scale)), max(2, height // 40), (255, 210, 0), -1)
        frames.append(frame)
    overlay_strip(frames, masks, path)
