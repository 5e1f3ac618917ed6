"""What a student of SAM learns of a batch: its teacher's embeddings, or masks through its decoder."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.losses.base import Prompted, Reads, Seen
from bench.tasks.prompts.draw import Prompts, best, boxes_around
from bench.tasks.prompts.embeddings import Embeddings
from bench.tasks.prompts.images import prompts_of
from bench.train.learner import Learner
from bench.train.objective import weighted
from methods.sam.network import Sam


@dataclass(frozen=True)
class Asked:
    """Prompts of a kind and what their masks should be: bool (B, P, S / 4, S / 4)."""

    prompts: Prompts
    target: Tensor


@dataclass(frozen=True)
class Answers:
    """What a teacher says of a batch: embeddings (B, C, h, w), and its masks where a student asks for them."""

    embeddings: Tensor
    asked: list[Asked]


@dataclass(frozen=True)
class Teacher:
    """A network, and what it makes of every image of the stream."""

    network: Sam
    embeddings: Embeddings


def prompt_losses(
    learner: Learner, batch: dict[str, Tensor], teacher: Answers | None, seed: int
) -> dict[str, Tensor]:
    """The losses of the learner's recipe on a batch of an `ImageStream`, and their weighted `total`."""
    with learner.autocast(batch["image"]):
        embeddings = learner.method.encode_image(batch["image"])
        asked = []
        if _learns_masks(learner):
            asked = _of_labels(batch) if learner.recipe.labels == "truth" else teacher.asked
        prompted = [_answered(each, learner.method, embeddings, batch["valid"]) for each in asked]
    taught = None if teacher is None else teacher.embeddings
    return weighted(learner.losses, Seen(embeddings.float(), taught, prompted=prompted), learner.ranks)


def _learns_masks(learner: Learner) -> bool:
    return any(Reads.PROMPTED in loss.reads for loss in learner.losses.values())


def _answered(asked: Asked, model: Sam, embeddings: Tensor, valid: Tensor) -> Prompted:
    """valid: bool (B, S / 4, S / 4)."""
    logits, scores = (x.float() for x in asked.prompts.decode(model, embeddings))
    return Prompted(logits, scores, asked.target[:, :, None], valid[:, None, None])


def _of_labels(batch: dict[str, Tensor]) -> list[Asked]:
    return [Asked(prompts, batch["truth"][:, places]) for places, prompts in prompts_of(batch)]


@torch.no_grad()
def teach(teacher: Teacher, batch: dict[str, Tensor], learners: list[Learner], precision: str) -> Answers:
    """What the learners need to know of a batch; all are at the same step."""
    device = batch["image"].device
    embeddings = teacher.embeddings.read(batch["index"].cpu()).to(device)
    if not any(map(_learns_masks, learners)):
        return Answers(embeddings, [])
    network, asked = teacher.network, []
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        if not batch["labelled"].all():
            batch = {**batch, "boxes": _teachers_boxes(batch, network, embeddings)}
        for _, prompts in prompts_of(batch):
            asked.append(Asked(prompts, best(*prompts.decode(network, embeddings)) > 0))
    return Answers(embeddings, asked)


def _teachers_boxes(batch: dict[str, Tensor], network: Sam, embeddings: Tensor) -> Tensor:
    """Where there are no labels, the boxes are those of what the teacher sees at the points."""
    points = Prompts(batch["points"][:, :, :1], batch["labels"][:, :, :1])
    masks = (best(*points.decode(network, embeddings)) > 0) & batch["valid"][:, None]
    boxes = boxes_around(masks.flatten(0, 1)).unflatten(0, masks.shape[:2])
    return torch.where(batch["labelled"][:, None, None], batch["boxes"], boxes)
