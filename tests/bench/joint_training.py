"""What the processes of a test compute together: a module, as those after the first have to import it."""

from pathlib import Path

import torch
from torch import Tensor

import methods
from bench.recipe import Recipe, Schedule
from bench.train.answers import answer
from bench.train.group import batches
from bench.train.learner import Learner
from bench.train.ranks import Ranks
from datasets.clips import ClipStream, VideoClips
from datasets.davis import open_davis

SCHEDULE = Schedule(steps=1, batch=4, crop=32, snapshots=0, clip_grad=1.0)
Network = tuple[str, dict]  # name and options of a method


def first_steps(
    ranks: Ranks, cases: dict[str, tuple[Network, Network, Recipe]], data: Path, device: str
) -> dict[str, dict[str, Tensor]]:
    """After the first step of each {case: (student, teacher, recipe)}: its loss, gradients and norms' statistics."""
    stream = ClipStream(VideoClips(open_davis(data, 2017, "train"), size=32, seed=0), 1, SCHEDULE.batch)
    (batch,) = batches(stream.part_of(ranks.number, ranks.size), SCHEDULE, 0, device)
    found = {}
    for case, (student, teacher, recipe) in cases.items():
        torch.manual_seed(0)
        taught_by = methods.create(teacher[0], **teacher[1]).requires_grad_(False)
        method = methods.create(student[0], **student[1])
        learner = Learner(case, method, recipe, SCHEDULE, Path(), {}, teacher=taught_by, ranks=ranks)
        with torch.no_grad():
            answers = answer(taught_by, batch, {learner.teacher_map} - {None})
        loss = learner.learn(batch, answers, seed=0)
        parameters = {**dict(learner.method.named_parameters()), **dict(learner.projectors.named_parameters())}
        found[case] = {"loss": torch.tensor(loss)}
        found[case] |= {name: p.grad for name, p in parameters.items() if p.grad is not None}
        found[case] |= {name: x for name, x in learner.method.named_buffers() if x.is_floating_point()}
    return found
