"""A student of SAM in training: it imitates its teacher's embeddings, or learns masks through its decoder."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.losses.base import Loss, Prompted, Reads, Seen
from bench.tasks.prompts.draw import Prompts, best, boxes_around
from bench.tasks.prompts.exam import Exam
from bench.tasks.prompts.images import prompts_of
from bench.train.learner import Learner
from bench.train.objective import weighted
from methods.sam.network import Sam

LOOKS = 8  # at the held-out images along a training


@dataclass(frozen=True)
class Task:
    """Prompts of a kind and what their masks should be: bool (B, P, S / 4, S / 4)."""

    prompts: Prompts
    target: Tensor


@dataclass(frozen=True)
class Answers:
    """What a teacher says of a batch: embeddings (B, C, h, w), and its masks where a student asks for them."""

    embeddings: Tensor
    tasks: list[Task]


class PromptLearner(Learner):
    """A `Learner` whose batches are those of an `ImageStream`.

    exam: what the network is asked before the first step, after the last one and evenly between, of held-out
    images; the curve gets the answers as held_out_miou and held_out_mse.
    """

    exam: Exam | None = None

    def learn(self, batch: dict[str, Tensor], teacher: Answers | None, seed: int) -> float:
        if self.step == 0:
            self._look()
        if self.step == self._tuned_from:  # what learns is another now
            self.__dict__.pop("_spread_losses", None)
        total = super().learn(batch, teacher, seed)
        if self.step in {round(self.schedule.steps * (i + 1) / LOOKS) for i in range(LOOKS)}:
            self._look()
        return total

    @property
    def finetunes(self) -> bool:
        """Whether the encoder is done, and the decoder learns."""
        return self.step >= self._tuned_from

    @property
    def _tuned_from(self) -> int:
        return math.ceil((1 - self.recipe.finetune) * self.schedule.steps)

    @property
    def losses(self) -> dict[str, Loss]:
        """Those that count at this step."""
        return self.recipe.finetuning if self.finetunes else self.recipe.losses

    @property
    def learns_masks(self) -> bool:
        return any(Reads.PROMPTED in loss.reads for loss in self.losses.values())

    def _train_mode(self) -> None:
        super()._train_mode()
        if self.finetunes:
            for name, part in self.method.named_children():
                part.requires_grad_(name != self.method.encoder_name)
            self.method.image_encoder.eval()  # or normalisation would follow the batches

    def _losses(self, batch: dict[str, Tensor], teacher: Answers | None, seed: int) -> dict[str, Tensor]:
        """The losses of the recipe and their weighted `total`."""
        device, enabled = batch["image"].device.type, self.schedule.precision == "bf16"
        with torch.autocast(device, torch.bfloat16, enabled=enabled):
            embeddings = self.method.encode_image(batch["image"])
            tasks = []
            if self.learns_masks:
                tasks = _of_labels(batch) if self.recipe.labels == "truth" else teacher.tasks
            prompted = [_answered(task, self.method, embeddings, batch["valid"]) for task in tasks]
        taught = None if teacher is None else teacher.embeddings
        return weighted(self.losses, Seen(embeddings.float(), taught, prompted=prompted), self.ranks)

    def _look(self) -> None:
        if self.exam is None:
            return
        network = self.method if self.average is None else self.average
        grades = self.exam.grade(network.eval())
        found = {"held_out_miou": grades.mean("point") or grades.mean_truth, "held_out_mse": grades.mse}
        point = {"step": self.step, **{name: x for name, x in found.items() if x is not None}}
        self.curve.append(point)


def _answered(task: Task, model: Sam, embeddings: Tensor, valid: Tensor) -> Prompted:
    """valid: bool (B, S / 4, S / 4)."""
    logits, scores = (x.float() for x in task.prompts.decode(model, embeddings))
    return Prompted(logits, scores, task.target[:, :, None], valid[:, None, None])


def _of_labels(batch: dict[str, Tensor]) -> list[Task]:
    return [Task(prompts, batch["truth"][:, places]) for places, prompts in prompts_of(batch)]


@torch.no_grad()
def teach(teacher, batch: dict[str, Tensor], learners: list[PromptLearner], precision: str) -> Answers:
    """What the learners need to know of a batch; all are at the same step.

    teacher: a network and its `Embeddings` (`bench.tasks.prompts.train.Teacher`).
    """
    device = batch["image"].device
    embeddings = teacher.embeddings.read(batch["index"].cpu()).to(device)
    if not any(learner.learns_masks for learner in learners):
        return Answers(embeddings, [])
    network, tasks = teacher.network, []
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        if not batch["labelled"].all():
            batch = {**batch, "boxes": _teachers_boxes(batch, network, embeddings)}
        for _, prompts in prompts_of(batch):
            tasks.append(Task(prompts, best(*prompts.decode(network, embeddings)) > 0))
    return Answers(embeddings, tasks)


def _teachers_boxes(batch: dict[str, Tensor], network: Sam, embeddings: Tensor) -> Tensor:
    """Where there are no labels, the boxes are those of what the teacher sees at the points."""
    points = Prompts(batch["points"][:, :, :1], batch["labels"][:, :, :1])
    masks = (best(*points.decode(network, embeddings)) > 0) & batch["valid"][:, None]
    boxes = boxes_around(masks.flatten(0, 1)).unflatten(0, masks.shape[:2])
    return torch.where(batch["labelled"][:, None, None], batch["boxes"], boxes)
