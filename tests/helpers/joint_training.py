"""What the processes of a test compute together: a module, as they have to import it."""

import socket
from collections.abc import Callable
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

import methods
from bench.losses.cross_entropy import PolyCrossEntropy
from bench.plan.recipe import Recipe, Schedule
from bench.system.stopping import Stopped, ask, listening
from bench.tasks import TASKS
from bench.train.answers import answer, batches
from bench.train.group import train_group
from bench.train.learner import Diverged, Learner
from bench.train.place import Place
from bench.train.ranks import Ranks, ranks_here
from bench.train.together import joined
from datasets.clips import ClipStream, VideoClips
from datasets.davis import open_davis
from datasets.errors import DataError
from methods.checkpoint import read_file

SCHEDULE = Schedule(steps=3, batch=4, crop=32, snapshots=0)
Network = tuple[str, dict]  # name and options of a method
SMALL = ("mobilevos_r18", {"width": 0.25})


def in_two_processes(function: Callable, folder: Path, *arguments) -> list[str]:
    """`function(*arguments)` in two processes, joined, which write into the folder; how each ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [Place(rank, 2, rank, "srun", "127.0.0.1", port) for rank in range(2)]
    context = get_context("spawn")
    processes = [context.Process(target=_join, args=(p, folder, function, *arguments)) for p in places]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [(folder / f"end {place.rank}").read_text() for place in places]


def _join(place: Place, folder: Path, function: Callable, *arguments) -> None:
    try:
        with joined(place, "cpu"):
            function(folder, *arguments)
    except BaseException as error:
        (folder / f"end {place.rank}").write_text(repr(error))


def all_of_it(folder: Path, cases: dict, data: Path) -> None:
    """What the tests look at, in one start of the processes; at the end one fails."""
    ranks = ranks_here()
    found = {
        "objects": objects(ranks, data),
        "first steps": first_steps(ranks, cases, data),
        "diverged": one_diverges(ranks, data),
        "watched": steps_until_watcher_stops(ranks, data, folder),
        "asked": steps_until_one_is_asked_to_stop(ranks, data, folder / "asked"),
    }
    if ranks.leads:
        torch.save(found, folder / "found.pt")
    last_fails(ranks)


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


def first_batch(ranks: Ranks, data: Path) -> dict[str, Tensor]:
    batch = next(batches(clips(data).part_of(ranks.number, ranks.size), SCHEDULE, 0, "cpu"))
    return {name: x.to(torch.get_default_dtype()) if x.is_floating_point() else x for name, x in batch.items()}


def make_learner(ranks: Ranks, student: Network, recipe: Recipe, teacher=None, folder=Path()) -> Learner:
    torch.manual_seed(0)
    method = methods.create(student[0], **student[1])
    return Learner(student[0], method, recipe, SCHEDULE, folder, {}, VIDEOS, teacher=teacher, ranks=ranks)


def first_steps(
    ranks: Ranks, cases: dict[str, tuple[Network, Network, Recipe]], data: Path
) -> dict[str, dict[str, Tensor]]:
    """After the first step of each {case: (student, teacher, recipe)}: losses, gradients, statistics of norms."""
    found = {}
    with exact():
        batch = first_batch(ranks, data)
        for case, (student, teacher, recipe) in cases.items():
            torch.manual_seed(1)
            taught_by = methods.create(teacher[0], **teacher[1]).requires_grad_(False)
            learner = make_learner(ranks, student, recipe, taught_by)
            with torch.no_grad():
                answers = answer(taught_by, batch, learner.teacher_maps)
            learner.learn(batch, answers, seed=0)
            named = [*learner.method.named_parameters(), *learner.projectors.named_parameters()]
            found[case] = {f"loss {name}": torch.tensor(value) for name, value in learner.curve[0].items()}
            found[case] |= {name: p.grad for name, p in named if p.grad is not None}
            found[case] |= dict(learner.method.named_buffers())
    return found


def objects(ranks: Ranks, data: Path) -> list[int]:
    """How many each rank has of the first batch."""
    own = torch.tensor([[float(first_batch(ranks, data)["valid"].sum())]])
    return ranks.rows(own).flatten().int().tolist()


def one_diverges(ranks: Ranks, data: Path) -> list[float]:
    """By rank, 1 where a step ends as diverged, of which only the last rank's clips are the reason."""
    learner, batch = make_learner(ranks, SMALL, Recipe.of(PolyCrossEntropy())), first_batch(ranks, data)
    if ranks.number == ranks.size - 1:
        batch["frames"] *= torch.nan
    try:
        learner.learn(batch, None, 0)
        failed = 0.0
    except Diverged:
        failed = 1.0
    return ranks.rows(torch.tensor([[failed]])).flatten().tolist()


def last_fails(ranks: Ranks) -> None:
    """The last rank has a mistake of the user's to tell, and the others wait for it."""
    if ranks.number == ranks.size - 1:
        raise DataError("a damaged file")
    ranks.before(1)


def steps_until_watcher_stops(ranks: Ranks, data: Path, folder: Path) -> list[list[float]]:
    """By rank, the steps of two learners, of which the first rank's watcher stops the second after two."""
    recipes = [Recipe.of(PolyCrossEntropy(0.5)), Recipe.of(PolyCrossEntropy())]
    learners = [
        make_learner(ranks, SMALL, recipe, folder=folder / f"{number}") for number, recipe in enumerate(recipes)
    ]

    def on_step(learner: Learner) -> str | None:
        assert ranks.leads
        return "enough" if learner.step == 2 and learner is learners[1] else None

    train_group(learners, clips(data), SCHEDULE, 0, None, "cpu", on_step)
    return ranks.rows(torch.tensor([[float(learner.step) for learner in learners]])).tolist()


def steps_until_one_is_asked_to_stop(ranks: Ranks, data: Path, folder: Path) -> list[float]:
    """By rank, the steps of a training, in whose second the last one hears SIGTERM; then the checkpoint's."""
    learner = make_learner(ranks, SMALL, Recipe.of(PolyCrossEntropy()), folder=folder)
    honest = learner.learn

    def learn(*rest) -> float:
        if learner.step == 1 and ranks.number == ranks.size - 1:
            ask()
        return honest(*rest)

    learner.learn = learn
    with suppress(Stopped), listening():
        train_group([learner], clips(data), SCHEDULE, 0, None, "cpu")
    steps = ranks.rows(torch.tensor([[float(learner.step)]])).flatten().tolist()
    return [*steps, read_file(folder / "last.pt")["step"]]
