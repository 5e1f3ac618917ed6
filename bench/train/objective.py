"""From a student's rollout, the teacher's and the labels to the losses of a recipe."""

import torch
from torch import Tensor, nn

from bench.plan.recipe import Recipe
from bench.train.ranks import ALONE, Ranks
from methods.distillation.cka import attention_kl, attention_loss
from methods.distillation.classification import (
    bootstrap_share,
    bootstrapped,
    dice_loss,
    jaccard_loss,
    logit_distillation,
    masked_mean,
    poly_cross_entropy,
)
from methods.distillation.dist import inter_loss, intra_loss
from methods.distillation.features import attention_transfer, hint_loss
from methods.distillation.itrd import correlation_loss, mutual_information_loss
from methods.distillation.pefd import ProjectorEnsemble, direction_loss
from methods.distillation.representation import gather_pixels, representation_loss
from methods.distillation.sampling import binary_entropy, boundary, sample_pixels
from methods.space_time import Rollout

EMBEDDING_STRIDE = 4
OVERLAPS = {"dice": dice_loss, "jaccard": jaccard_loss}
ATTENTION_MEASURES = {"cka": attention_loss, "kl": attention_kl}


def losses(
    recipe: Recipe,
    student: Rollout,
    teacher: Rollout | None,
    labels: Tensor,
    generator: torch.Generator,
    projectors: nn.ModuleDict,
    progress: float = 1.0,
    ranks: Ranks = ALONE,
) -> dict[str, Tensor]:
    """The recipe's losses, each a scalar; `total` is their weighted sum.

    labels: (B, T, H, W) int64, 0 = background, 1..K the objects' slots; frame 0 is given, so not judged. They are
    the data's own or the teacher's `labels`, as the recipe says.
    generator: a CPU generator seeded alike for every student, so that all draw the same noise.
    projectors: see `make_projectors`. progress: share of the training that is done, 0..1.
    ranks: with several, the clips are a part of a batch, and the mean of each loss over the ranks is that of the
    batch. What is a mean over objects is then weighed by how many of them are here.
    """
    target = labels[:, 1:]
    clips, objects = len(target), ranks.share(len(student.video))
    parts = {}
    if "poly_ce" in recipe.losses:
        parts["poly_ce"] = _cross_entropy(recipe, student, target, progress)
    for name, overlap_loss in OVERLAPS.items():
        if name in recipe.losses:
            parts[name] = objects * overlap_loss(*_objects(student, target))
    if "logits" in recipe.losses:
        parts["logits"] = _logits(recipe, student, teacher, target, ranks)
    if "hint" in recipe.losses:
        projected = projectors["hint"](student.embeddings.flatten(0, 1).float().movedim(1, -1)).movedim(-1, 1)
        parts["hint"] = objects * hint_loss(projected, teacher.embeddings.flatten(0, 1).float())
    if "attention_transfer" in recipe.losses:
        maps = (rollout.embeddings.flatten(0, 1).float() for rollout in (student, teacher))
        parts["attention_transfer"] = objects * attention_transfer(*maps)
    if "pefd" in recipe.losses:
        projected = projectors["pefd"](student.embeddings.flatten(0, 1).float())
        parts["pefd"] = objects * direction_loss(projected, teacher.embeddings.flatten(0, 1).float())
    if "inter" in recipe.losses:
        several = ranks.share((student.valid.sum(1) >= 2).sum())
        parts["inter"] = several * inter_loss(student.logits, teacher.logits, student.valid)
    if "intra" in recipe.losses:
        channels = ranks.share(clips + len(student.video))
        parts["intra"] = channels * intra_loss(student.logits, teacher.logits, student.valid)
    if "attention" in recipe.losses:
        parts["attention"] = _attention(recipe, student, teacher)
    if recipe.samples_pixels:
        parts |= _of_sampled_pixels(recipe, student, teacher, target, generator, projectors, ranks)
    parts["total"] = sum(getattr(recipe, name).weight * value for name, value in parts.items())
    return parts


def make_projectors(recipe: Recipe, student_width: int, teacher_width: int | None) -> nn.ModuleDict:
    """From the student's embedding to the teacher's; they train along and are then dropped."""
    wanted = [name for name in ("hint", "itrd_correlation") if name in recipe.losses]
    found = {name: nn.Linear(student_width, teacher_width) for name in wanted}
    if "pefd" in recipe.losses:
        found["pefd"] = ProjectorEnsemble(student_width, teacher_width, recipe.pefd.projectors)
    return nn.ModuleDict(found)


def sampled_pixels(
    recipe: Recipe, teacher: Rollout, target: Tensor, generator: torch.Generator, before: int = 0
) -> tuple[Tensor, Tensor]:
    """Which pixels the losses on features compare.

    target: (B, T - 1, H, W) slots -> masks int64 (G, h, w) in {0, 1} at the embeddings' stride and flat
    positions in them, int64 (G, count). A group is one object in one frame, so that pixels of different
    videos never meet. before: how many objects the parts of the batch before these clips have.
    """
    own = (_small(target)[teacher.video] == teacher.slot.view(-1, 1, 1, 1) + 1).long().flatten(0, 1)
    sampling = recipe.sampling
    torch.rand(before * target.shape[1], *own.shape[1:], generator=generator)  # theirs
    uncertainty = None
    if sampling.pixels == "uncertainty":
        probabilities = _small(teacher.logits.float().softmax(2))[teacher.video, :, teacher.slot + 1]
        uncertainty = binary_entropy(probabilities).flatten(0, 1)
    index = sample_pixels(
        own, sampling.count, sampling.pixels, generator, sampling.boundary_width, uncertainty=uncertainty
    )
    return own, index


def _cross_entropy(recipe: Recipe, student: Rollout, target: Tensor, progress: float) -> Tensor:
    settings = recipe.poly_ce
    per_pixel = poly_cross_entropy(student.logits.transpose(1, 2), target, settings.epsilon)
    share = bootstrap_share(progress, settings.start, settings.end, settings.share)
    return per_pixel.mean() if share == 1 else bootstrapped(per_pixel.flatten(0, 1), share)


def _objects(student: Rollout, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities and truth of the objects that exist: the others have neither pixels nor probability."""
    probabilities = student.logits.softmax(2)[student.video, :, student.slot + 1]
    own = target[student.video] == student.slot.view(-1, 1, 1, 1) + 1
    return probabilities, own.float()


def _of_sampled_pixels(
    recipe: Recipe,
    student: Rollout,
    teacher: Rollout,
    target: Tensor,
    generator: torch.Generator,
    projectors: nn.ModuleDict,
    ranks: Ranks,
) -> dict[str, Tensor]:
    objects, before = ranks.share(len(teacher.video)), ranks.before(len(teacher.video))
    own, index = sampled_pixels(recipe, teacher, target, generator, before)
    of_student, of_teacher = (
        gather_pixels(rollout.embeddings.flatten(0, 1).float(), index) for rollout in (student, teacher)
    )
    parts = {}
    if "representation" in recipe.losses:
        settings = recipe.representation
        kinds = own.flatten(1).gather(1, index)
        parts["representation"] = objects * representation_loss(
            of_student, of_teacher, kinds, settings.omega, settings.normalizer
        )
    if "itrd_mutual_information" in recipe.losses:
        parts["itrd_mutual_information"] = objects * mutual_information_loss(of_student, of_teacher)
    if "itrd_correlation" in recipe.losses:
        projected = projectors["itrd_correlation"](of_student)
        rows = (ranks.rows(each.flatten(0, 1)) for each in (projected, of_teacher))
        parts["itrd_correlation"] = correlation_loss(*rows, recipe.itrd_correlation.alpha)
    return parts


def _logits(recipe: Recipe, student: Rollout, teacher: Rollout, target: Tensor, ranks: Ranks) -> Tensor:
    divergence = logit_distillation(
        student.logits.transpose(1, 2), teacher.logits.transpose(1, 2), recipe.logits.temperature
    )
    if recipe.logits.pixels == "all":
        return divergence.mean()
    near = boundary(target.flatten(0, 1), EMBEDDING_STRIDE * recipe.sampling.boundary_width)
    return ranks.share(near.sum()) * masked_mean(divergence, near.view_as(target))


def _attention(recipe: Recipe, student: Rollout, teacher: Rollout) -> Tensor:
    """Mean over the frames, whose maps may differ in their number of keys."""
    settings = recipe.attention
    (own,) = student.maps.values()
    theirs = teacher.maps[settings.teacher_map or max(teacher.maps)]
    compare = ATTENTION_MEASURES[settings.measure]
    return torch.stack([compare(*maps) for maps in zip(own, theirs, strict=True)]).mean()


def _small(maps: Tensor) -> Tensor:
    """(..., H, W) at the stride of the embeddings, each pixel read at the centre of its cell."""
    half = EMBEDDING_STRIDE // 2
    return maps[..., half::EMBEDDING_STRIDE, half::EMBEDDING_STRIDE]
