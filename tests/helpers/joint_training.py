"""What the processes of a test compute together: a module, as those after the first have to import it."""

from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

import methods
from bench.plan.recipe import PolyCrossEntropy, Recipe, Schedule
from bench.tasks import TASKS
from bench.train.answers import answer
from bench.train.group import train_group
from bench.train.learner import Diverged, Learner
from bench.train.ranks import Ranks
from bench.train.stream import batches
from datasets.clips import ClipStream, VideoClips
from datasets.davis import open_davis
from datasets.errors import DataError

SCHEDULE = Schedule(steps=3, batch=4, crop=32, snapshots=0)
Network = tuple[str, dict]  # name and options of a method

VIDEOS = TASKS["videos"]


@contextmanager
def exact():
    """All in float64, also what the losses compute in `float`: what then differs, differs by more than rounding."""
    torch.set_default_dtype(torch.float64)
    try:
        with patch.object(torch.Tensor, "float", torch.Tensor.double):
            yield
    finally:
        torch.set_default_dtype(torch.float32)


class Uneven:
    """Clips with two objects each, but for the first, which has one."""

    def __init__(self, data: Path) -> None:
        self.source = VideoClips(open_davis(data, 2017, "train"), size=32, seed=0)

    def clip(self, number: int, max_skip: int):
        frames, masks = self.source.clip(number, max_skip)
        return frames, masks * (masks == 1) if number == 0 else masks


def clips(data: Path) -> ClipStream:
    return ClipStream(Uneven(data), SCHEDULE.steps, SCHEDULE.batch)


def first_batch(ranks: Ranks, data: Path, device: str) -> dict[str, Tensor]:
    batch = next(batches(clips(data).part_of(ranks.number, ranks.size), SCHEDULE, 0, device))
    return {
        name: x.to(torch.get_default_dtype()) if x.is_floating_point() else x for name, x in batch.items()
    }


def make_learner(ranks: Ranks, student: Network, recipe: Recipe, teacher=None, folder=Path()) -> Learner:
    torch.manual_seed(0)
    method = methods.create(student[0], **student[1])
    return Learner(student[0], method, recipe, SCHEDULE, folder, {}, VIDEOS, teacher=teacher, ranks=ranks)


def first_steps(
    ranks: Ranks, cases: dict[str, tuple[Network, Network, Recipe]], data: Path, device: str
) -> dict[str, dict[str, Tensor]]:
    """After the first step of each {case: (student, teacher, recipe)}: losses, gradients, statistics of norms."""
    found = {}
    with exact():
        batch = first_batch(ranks, data, device)
        for case, (student, teacher, recipe) in cases.items():
            torch.manual_seed(1)
            taught_by = methods.create(teacher[0], **teacher[1]).requires_grad_(False)
            learner = make_learner(ranks, student, recipe, taught_by)
            with torch.no_grad():
                answers = answer(taught_by, batch, {learner.teacher_map} - {None})
            learner.learn(batch, answers, seed=0)
            named = [*learner.method.named_parameters(), *learner.projectors.named_parameters()]
            found[case] = {f"loss {name}": torch.tensor(value) for name, value in learner.curve[0].items()}
            found[case] |= {name: p.grad for name, p in named if p.grad is not None}
            found[case] |= dict(learner.method.named_buffers())
    return found


def objects(ranks: Ranks, data: Path, device: str) -> list[int]:
    """How many each rank has of the first batch."""
    own = torch.tensor([[float(first_batch(ranks, data, device)["valid"].sum())]])
    return ranks.rows(own).flatten().int().tolist()


def one_diverges(ranks: Ranks, data: Path, device: str) -> list[float]:
    """By rank, 1 where a step ends as diverged, of which only the last rank's clips are the reason."""
    learner, batch = (
        make_learner(ranks, ("mobilevos_r18", {"width": 0.25}), Recipe()),
        first_batch(ranks, data, device),
    )
    if ranks.number == ranks.size - 1:
        batch["frames"] *= torch.nan
    try:
        learner.learn(batch, None, 0)
        failed = 0.0
    except Diverged:
        failed = 1.0
    return ranks.rows(torch.tensor([[failed]])).flatten().tolist()


def last_fails(ranks: Ranks, device: str) -> None:
    """The last rank has a mistake of the user's to tell, and the others wait for it."""
    if ranks.number == ranks.size - 1:
        raise DataError("a damaged file")
    ranks.before(1)


def steps_until_stopped(
    ranks: Ranks, data: Path, folder: Path, device: str, on_step=None
) -> list[list[float]]:
    """By rank, the steps of two learners whose training the first rank watches."""
    recipes = [Recipe(), Recipe(poly_ce=PolyCrossEntropy(0.5))]
    learners = [
        make_learner(ranks, ("mobilevos_r18", {"width": 0.25}), recipe, folder=folder / f"{number}")
        for number, recipe in enumerate(recipes)
    ]
    train_group(learners, clips(data), SCHEDULE, 0, None, device, on_step)
    return ranks.rows(torch.tensor([[float(learner.step) for learner in learners]])).tolist()
