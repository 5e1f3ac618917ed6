"""From a student's rollout, the teacher's and the labels to the losses of a recipe."""

import torch
from torch import Tensor

from bench.recipe import Recipe
from methods.distillation.classification import (
    dice_loss,
    logit_distillation,
    masked_mean,
    poly_cross_entropy,
)
from methods.distillation.representation import gather_pixels, representation_loss
from methods.distillation.sampling import boundary, sample_pixels
from methods.space_time import Rollout

EMBEDDING_STRIDE = 4


def losses(
    recipe: Recipe, student: Rollout, teacher: Rollout | None, labels: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """The recipe's losses, each a scalar; `total` is their weighted sum.

    labels: (B, T, H, W) int64, 0 = background, 1..K the objects' slots; frame 0 is given, so not judged.
    generator: a CPU generator seeded alike for every student, so that all draw the same noise.
    """
    target = labels[:, 1:]
    per_pixel = poly_cross_entropy(student.logits.transpose(1, 2), target, recipe.poly_ce.epsilon)
    parts = {"poly_ce": per_pixel.mean()}
    if recipe.dice.weight > 0:
        parts["dice"] = _dice(student, target)
    if recipe.representation.weight > 0:
        parts["representation"] = _representation(recipe, student, teacher, target, generator)
    if recipe.logits.weight > 0:
        parts["logits"] = _logits(recipe, student, teacher, target)
    parts["total"] = sum(getattr(recipe, name).weight * value for name, value in parts.items())
    return parts


def _dice(student: Rollout, target: Tensor) -> Tensor:
    """Over the objects that exist: the others have neither pixels nor probability."""
    probabilities = student.logits.softmax(2)[student.video, :, student.slot + 1]
    own = target[student.video] == student.slot.view(-1, 1, 1, 1) + 1
    return dice_loss(probabilities, own.float())


def _representation(
    recipe: Recipe, student: Rollout, teacher: Rollout, target: Tensor, generator: torch.Generator
) -> Tensor:
    """Each object in each frame is a group of its own: pixels of different videos never meet."""
    half = EMBEDDING_STRIDE // 2
    small = target[student.video][:, :, half::EMBEDDING_STRIDE, half::EMBEDDING_STRIDE]
    own = (small == student.slot.view(-1, 1, 1, 1) + 1).long().flatten(0, 1)
    sampling = recipe.sampling
    index = sample_pixels(own, sampling.count, sampling.pixels, generator, sampling.boundary_width)
    return representation_loss(
        gather_pixels(student.embeddings.flatten(0, 1).float(), index),
        gather_pixels(teacher.embeddings.flatten(0, 1).float(), index),
        own.flatten(1).gather(1, index),
        recipe.representation.omega,
        recipe.representation.normalizer,
    )


def _logits(recipe: Recipe, student: Rollout, teacher: Rollout, target: Tensor) -> Tensor:
    divergence = logit_distillation(
        student.logits.transpose(1, 2), teacher.logits.transpose(1, 2), recipe.logits.temperature
    )
    if recipe.logits.pixels == "all":
        return divergence.mean()
    near = boundary(target.flatten(0, 1), EMBEDDING_STRIDE * recipe.sampling.boundary_width)
    return masked_mean(divergence, near.view_as(target))
