"""Evaluation by prompts: how well a network's masks agree with its teacher's and the labels on images."""

import json
from collections.abc import Sequence as Items
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.plan.cells import SPAN, Questions
from bench.system.progress import tracked
from bench.tasks.prompts.draw import Prompts, best, boxes_around, draw_background, draw_points, point_prompts
from bench.tasks.prompts.images import Fitted, fit, low_res
from datasets.static import StaticImage
from methods.distillation.prompted import mask_iou
from methods.sam.boxes import mask_boxes
from methods.sam.network import Sam


@dataclass(frozen=True)
class Question:
    """What an image is asked, and what is held to be right: masks bool (P, S / 4, S / 4).

    prompts, by kind: "point"; "box", around the objects under the points; "100" and other distances, the points
    that have a background point so far away. theirs: the teacher's masks, by kind. truth: the objects under the
    points; None without labels. embedding: the teacher's, float32 (1, C, h, w).
    """

    still: StaticImage
    valid: Tensor
    prompts: dict[str, Prompts]
    theirs: dict[str, Tensor]
    truth: Tensor | None
    embedding: Tensor | None


@dataclass(frozen=True)
class Grades:
    """IoUs with the teacher's masks of each image by kind of prompt ("point", "box", "100", ...), a list each.

    truth: of the points' masks with the labels. mse: of the image embedding, mean over the images.
    Prompts to which the teacher answers by an empty mask are left out.
    """

    teacher: dict[str, dict[str, list[float]]]
    truth: dict[str, list[float]]
    mse: float | None

    def mean(self, kind: str) -> float | None:
        """mIoU over the prompts of a kind, 0..1; None without any."""
        return _mean([iou for ious in self.teacher.get(kind, {}).values() for iou in ious])

    @property
    def mean_truth(self) -> float | None:
        return _mean([iou for ious in self.truth.values() for iou in ious])


class Exam:
    """The same questions for every network; a teacher answers them once.

    teacher: None evaluates against the labels alone. kinds: of prompts that are asked; all by default.
    """

    def __init__(
        self,
        images: Items[StaticImage],
        side: int,
        wanted: Questions,
        teacher: Sam | None,
        device: str,
        kinds: tuple[str, ...] | None = None,
    ) -> None:
        self.side, self.device = side, device
        chosen = [images[i] for i in evenly(min(wanted.images, len(images)), len(images))]
        shown = tracked(chosen, len(chosen), stage="ask", what="the teacher", unit="images", delay=2)
        self.questions = [self._question(image, i, wanted, teacher, kinds) for i, image in enumerate(shown)]

    @torch.inference_mode()
    def grade(self, model: Sam, label: str | None = None) -> Grades:
        """Shown as the evaluation of what the label says, if any."""
        teacher: dict[str, dict[str, list[float]]] = {}
        truth: dict[str, list[float]] = {}
        errors: list[float] = []
        shown = tracked(self.questions, len(self.questions), stage="evaluate", what=label or "", unit="images")
        for question in shown if label else self.questions:
            embedding = self._encode(model, fit(question.still.read(), self.side))
            if question.embedding is not None:
                errors.append(float(F.mse_loss(embedding.float().cpu(), question.embedding)))
            for kind, prompts in question.prompts.items():
                masks = self._answer(model, embedding, prompts, question.valid)
                if kind in question.theirs:
                    there = question.theirs[kind].flatten(1).any(1)
                    found = mask_iou(masks, question.theirs[kind])[there].tolist()
                    teacher.setdefault(kind, {})[question.still.name] = found
                if kind == "point" and question.truth is not None:
                    truth[question.still.name] = mask_iou(masks, question.truth).tolist()
        return Grades(teacher, truth, _mean(errors))

    def held_out(self, model: Sam) -> dict[str, float]:
        """What a network in training answers, for its curve."""
        grades = self.grade(model)
        found = {"held_out_miou": grades.mean("point") or grades.mean_truth, "held_out_mse": grades.mse}
        return {name: value for name, value in found.items() if value is not None}

    @torch.inference_mode()
    def masks(self, model: Sam, number: int) -> Tensor:
        """What a network answers to the points on image `number`: bool (P, S / 4, S / 4)."""
        question = self.questions[number]
        embedding = self._encode(model, fit(question.still.read(), self.side))
        return self._answer(model, embedding, question.prompts["point"], question.valid)

    @torch.inference_mode()
    def _question(
        self, still: StaticImage, number: int, wanted: Questions, teacher: Sam | None, kinds: tuple[str, ...] | None
    ) -> Question:
        fitted, rng = fit(still.read(), self.side), np.random.default_rng([wanted.seed, number])
        labels = fitted.labels
        valid = low_res(np.ones_like(labels, bool), self.side)
        points = draw_points(labels, wanted.points, rng)
        regions = [labels == labels[y, x] for x, y in points]
        truth = None if still.mask is None else torch.stack([low_res(region, self.side) for region in regions])
        embedding = None if teacher is None else self._encode(teacher, fitted)
        prompts = {"point": point_prompts(points[:, None])}
        if truth is not None:
            prompts["box"] = Prompts(boxes=mask_boxes(torch.from_numpy(np.stack(regions)))[None])
        elif teacher is not None and embedding is not None:  # nobody says what is there but the teacher
            found = self._answer(teacher, embedding, prompts["point"], valid)
            prompts["box"] = Prompts(boxes=boxes_around(found)[None])
        for distance in wanted.distances:
            beside = [draw_background(labels, p, distance * self.side / SPAN, rng) for p in points]
            pairs = [[p, other] for p, other in zip(points, beside, strict=True) if other is not None]
            if pairs:
                prompts[str(distance)] = point_prompts(np.array(pairs))
        prompts = {kind: asked for kind, asked in prompts.items() if kinds is None or kind in kinds}
        theirs: dict[str, Tensor] = {}
        if teacher is not None and embedding is not None:
            theirs = {kind: self._answer(teacher, embedding, asked, valid) for kind, asked in prompts.items()}
            embedding = embedding.float().cpu()
        return Question(still, valid, prompts, theirs, truth, embedding)

    def _encode(self, model: Sam, fitted: Fitted) -> Tensor:
        return model.encode_image(fitted.image[None].to(self.device))

    def _answer(self, model: Sam, embedding: Tensor, prompts: Prompts, valid: Tensor) -> Tensor:
        """bool (P, S / 4, S / 4) on the CPU, False on padding."""
        answers = prompts.to(self.device).decode(model, embedding)
        return (best(*answers)[0] > 0).cpu() & valid


def evenly(count: int, of: int) -> list[int]:
    """At most `count` of the numbers below `of`, from the first to the last."""
    return np.unique(np.linspace(0, of - 1, count).round().astype(int)).tolist()


def fields_of(grades: Grades, questions: dict[str, Any]) -> dict[str, Any]:
    """The record's fields of these grades, in percent."""
    by_distance = {str(d): _percent(grades.mean(str(d))) for d in questions["distances"]}
    each = grades.teacher.get("point") or grades.truth
    return {
        "miou": _percent(grades.mean("point")),
        "miou_boxes": _percent(grades.mean("box")),
        "miou_truth": _percent(grades.mean_truth),
        "miou_distances": json.dumps(by_distance) if grades.teacher else "",
        "embedding_mse": grades.mse,
        "per_sequence": json.dumps({name: 100 * fmean(ious) for name, ious in each.items() if ious}),
        "objects_per_sequence": json.dumps({name: len(ious) for name, ious in each.items() if ious}),
        "sequences": len(each),
        "objects": sum(len(ious) for ious in each.values()),
        "frames": len(each),
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _mean(values: list[float]) -> float | None:
    return fmean(values) if values else None
