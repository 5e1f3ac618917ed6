"""Answering prompts on images as SAM does, and as its students learn to: by decoupled distillation or masks."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.measure.full_size import PROMPTED
from bench.plan.cells import Cell, Network, Questions, Training, content_hash, placeless
from bench.score.pictures import overlay_strip
from bench.system.errors import ConfigError
from bench.system.files import write_json
from bench.tasks.prompts.embeddings import store_embeddings
from bench.tasks.prompts.exam import Exam, evenly, fields_of
from bench.tasks.prompts.images import ImageStream
from bench.tasks.prompts.lesson import Teacher, prompt_losses, teach
from bench.tasks.task import Task
from bench.train.learner import Look
from datasets.layouts import layout_of
from datasets.opening import open_evaluation, open_images
from datasets.static import StaticImage, frames_of
from methods.sam.frames import input_size
from methods.sam.network import Sam

HELD_OUT = Questions(images=24)  # looked at along a training
PICTURED = 6


class Prompts(Task):
    """Networks learn from images with prompts and are evaluated by the mIoU of their masks."""

    def stream(self, trainings: list[Training], networks: list[Any]) -> ImageStream:
        """Raises ConfigError for images of different sizes, and for labels that are wanted but not there."""
        sides = {network.image_size for network in networks}
        if len(sides) > 1:
            raise ConfigError(
                f"image_size is {' and '.join(map(str, sorted(sides)))}: a teacher and its students see one size"
            )
        first, images = trainings[0], open_images(trainings[0].data)
        by_labels = [training.method for training in trainings if training.recipe.labels == "truth"]
        if by_labels and not all(image.mask for image in images):
            raise ConfigError(
                f"training '{first.data['name']}' has no masks to train {by_labels[0]} on: give "
                f"teacher.weights, or images with masks (training=static, say)"
            )
        return ImageStream(images, sides.pop(), first.schedule.steps, first.schedule.batch, first.seed)

    def prepare(
        self, teacher: Sam, network: Network, training: Training, stream: ImageStream, runs: Path, device: str
    ) -> Teacher:
        """The teacher with its embeddings of all images, in `runs/embeddings`."""
        key, schedule = content_hash([network.key, placeless(training.data)]), training.schedule
        storing = (runs / "embeddings", schedule.embeddings, schedule.embeddings_gb)
        return Teacher(teacher, store_embeddings(teacher, key, stream, *storing, device))

    teach = staticmethod(teach)
    losses = staticmethod(prompt_losses)

    def look(self, training: Training, stream: ImageStream, teacher: Sam | None, device: str) -> Look | None:
        """Questions about images that no training sees; none where none are held out."""
        images = open_images(training.data, held_out=True)
        return Exam(images, stream.side, HELD_OUT, teacher, device, ("point",)).held_out if images else None

    def open(self, dataset: dict[str, Any]) -> list[StaticImage]:
        images = layout_of(dataset["kind"]).images
        return open_images(dataset, held_out=True) if images else frames_of(open_evaluation(dataset))

    def evaluate(
        self, cell: Cell, method: Sam, teacher: Callable, data: list[StaticImage], folder: Path, device: str
    ) -> dict[str, Any]:
        """`folder` gets `scores.json`, the IoU of every prompt, and `overlay.png`."""
        prompts, side, picture = cell.dataset["prompts"], method.image_size, folder / "overlay.png"
        exam = Exam(data, side, Questions(**prompts), teacher(), device)
        grades = exam.grade(method, f"{cell.label} seed {cell.seed}")
        write_json(folder / "scores.json", asdict(grades))
        draw_answers(exam, method, picture)
        return {**fields_of(grades, prompts), "resolution": f"{side}x{side}", "overlay": str(picture)}

    def costs(self, growth: bool) -> list[str]:
        return PROMPTED


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
