"""What a student of SAM learns of a batch: its teacher's embeddings, or masks through its decoder."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.losses.base import Prompted, Reads, Seen
from bench.tasks.prompts.draw import Prompts, best, boxes_around
from bench.tasks.prompts.images import prompts_of
from bench.train.answers import Tensors
from bench.train.learner import Learner, weighted
from methods.sam.network import Sam

Asked = list[tuple[Prompts, Tensor]]  # by kind, with what their masks should be: bool (B, P, S / 4, S / 4)


class Answers(NamedTuple):
    """What a teacher says of a batch: embeddings (B, C, h, w), and its masks where a student asks for them."""

    embeddings: Tensor
    asked: Asked


class Teacher(NamedTuple):
    """A network, and what it makes of every image of the stream: (N, C, h, w)."""

    network: Sam
    embeddings: np.memmap


def prompt_losses(learner: Learner, batch: Tensors, answers: Answers | None, seed: int) -> Tensors:
    """The losses of the learner's recipe on a batch of an `ImageStream`, and their weighted `total`."""
    asked: Asked = []
    if _learns_masks(learner) and learner.recipe.labels == "truth":
        asked = [(prompts, batch["truth"][:, places]) for places, prompts in prompts_of(batch)]
    elif _learns_masks(learner) and answers is not None:
        asked = answers.asked
    prompted, valid = [], batch["valid"][:, None, None]
    with learner.autocast(batch["image"]):
        embeddings = learner.method.encode_image(batch["image"])
        for prompts, target in asked:
            logits, scores = prompts.decode(learner.method, embeddings)
            prompted.append(Prompted(logits.float(), scores.float(), target[:, :, None], valid))
    taught = None if answers is None else answers.embeddings
    return weighted(learner.losses, Seen(embeddings.float(), taught, prompted=prompted), learner.ranks)


def _learns_masks(learner: Learner) -> bool:
    return any(Reads.PROMPTED in loss.reads for loss in learner.losses.values())


@torch.no_grad()
def teach(teacher: Teacher, batch: Tensors, learners: list[Learner], precision: str) -> Answers:
    """What the learners need to know of a batch; all are at the same step."""
    device, network = batch["image"].device, teacher.network
    stored = teacher.embeddings[batch["index"].cpu().numpy()].astype(np.float32)
    embeddings = torch.from_numpy(stored).to(device)
    if not any(map(_learns_masks, learners)):
        return Answers(embeddings, [])
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        if not batch["labelled"].all():
            batch = {**batch, "boxes": _teachers_boxes(batch, network, embeddings)}
        asked = [(prompts, best(*prompts.decode(network, embeddings)) > 0) for _, prompts in prompts_of(batch)]
    return Answers(embeddings, asked)


def _teachers_boxes(batch: Tensors, network: Sam, embeddings: Tensor) -> Tensor:
    """Where there are no labels, the boxes are those of what the teacher sees at the points."""
    points = Prompts(batch["points"][:, :, :1], batch["labels"][:, :, :1])
    masks = (best(*points.decode(network, embeddings)) > 0) & batch["valid"][:, None]
    boxes = boxes_around(masks.flatten(0, 1)).unflatten(0, masks.shape[:2])
    return torch.where(batch["labelled"][:, None, None], batch["boxes"], boxes)
