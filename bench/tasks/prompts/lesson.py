"""What a student of SAM learns of a batch: its teacher's embeddings, or masks through its decoder."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.tasks.prompts.draw import Prompts, best, boxes_around
from bench.tasks.prompts.embeddings import Embeddings
from bench.tasks.prompts.images import prompts_of
from bench.train.learner import Learner
from methods.distillation.prompted import mask_iou, mask_losses
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
    recipe, parts = learner.recipe, {}
    with learner.autocast(batch["image"]):
        embeddings = learner.method.encode_image(batch["image"])
        if "decoupled" in recipe.losses and not learner.finetunes:
            parts["decoupled"] = F.mse_loss(embeddings.float(), teacher.embeddings)
        if _learns_masks(learner):
            asked = _of_labels(batch) if recipe.labels == "truth" else teacher.asked
            found = [_loss_of(each, learner.method, embeddings, batch["valid"]) for each in asked]
            parts["masks"], parts["predicted_iou"] = (torch.stack(x).mean() for x in zip(*found, strict=True))
    weights = {
        "decoupled": recipe.decoupled.weight,
        "masks": recipe.masks.weight or 1.0,
        "predicted_iou": recipe.masks.predicted_iou,
    }
    parts["total"] = sum(weights[name] * value for name, value in parts.items())
    return parts


def _learns_masks(learner: Learner) -> bool:
    return "masks" in learner.recipe.losses or learner.finetunes


def _loss_of(asked: Asked, model: Sam, embeddings: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Of M answers to each prompt the best one learns the mask, and all learn how good they are: two scalars.

    valid: bool (B, S / 4, S / 4).
    """
    logits, scores = (x.float() for x in asked.prompts.decode(model, embeddings))
    target, valid = asked.target[:, :, None], valid[:, None, None]
    least = mask_losses(logits, target, valid).min(2).values.mean()
    with torch.no_grad():
        reached = mask_iou((logits > 0) & valid, target & valid)
    return least, F.mse_loss(scores, reached)


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
