"""Training students side by side: one stream of clips, one teacher forward a batch, K students.

The results equal those of training each alone: clips and noise are functions of (seed, step), and students
share nothing but what they read. Several ranks do this with a part of every batch each, in step.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn
from tqdm import tqdm

from bench.plan.recipe import Schedule
from bench.system.stopping import saving_first, stop_if_asked
from bench.train.answers import answer
from bench.train.learner import Diverged, Learner
from bench.train.ranks import Ranks
from datasets.clips import ClipStream
from methods.masks import slot_planes
from methods.space_time import Rollout

SECONDS_BETWEEN_CHECKPOINTS = 30
OnStep = Callable[[Learner], str | None]


def train_group(
    learners: list[Learner],
    clips: ClipStream,
    schedule: Schedule,
    seed: int,
    teacher: nn.Module | None,
    device: str,
    on_step: OnStep | None = None,
    lessons: "Lessons | None" = None,
) -> None:
    """Train every learner to the end, resuming each from its checkpoint; failed ones get a `failure`.

    Learners that stopped at different steps are trained one bunch after the other. What `on_step` answers
    after a learner's step, if not None, is why that one stops here; it keeps its checkpoint. Of several ranks the
    first one's is asked, if all have one. `lessons` says what becomes of the items of `clips`; by default they
    are clips.
    """
    for learner in learners:
        learner.method.to(device)
        learner.projectors.to(device)
        learner.resume()
    for _, bunch in groupby(sorted(learners, key=lambda x: x.step), key=lambda x: x.step):
        _train_bunch(list(bunch), clips, schedule, seed, teacher, device, on_step, lessons or CLIPS)


def _train_bunch(
    learners: list[Learner],
    clips: ClipStream,
    schedule: Schedule,
    seed: int,
    teacher: nn.Module | None,
    device: str,
    on_step: OnStep | None,
    lessons: "Lessons",
) -> None:
    start = learners[0].step
    running = list(learners)
    saved_at = time.monotonic()
    label = ", ".join(dict.fromkeys(x.name for x in learners))
    ranks = learners[0].ranks

    def save() -> None:
        for learner in running:
            learner.save()

    stream = lessons.batches(clips.part_of(ranks.number, ranks.size), schedule, start, device)
    with (
        saving_first(save),
        tqdm(total=schedule.steps, initial=start, desc=f"train {label}", unit="step", mininterval=2) as bar,
        _side_by_side(len(running), device, ranks) as for_each,
    ):
        for batch in stream:
            answers = None if teacher is None else lessons.teach(teacher, batch, learners, schedule.precision)
            results = for_each(lambda x, b=batch, a=answers: _try_to_learn(x, b, a, seed, on_step), running)
            running = [learner for learner in running if learner.failure is None]
            bar.set_postfix(loss=f"{results[0]:.3f}", refresh=False)
            bar.update()
            if not running:
                break
            stop_if_asked(ranks.any)
            if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                save()
                saved_at = time.monotonic()
    for learner in running:
        learner.finish()


def _try_to_learn(
    learner: Learner, batch: dict[str, Tensor], answers: Rollout | None, seed: int, on_step: OnStep | None
) -> float:
    try:
        loss = learner.learn(batch, answers, seed)
    except Diverged as error:
        learner.failure = str(error)
        return float("nan")
    if on_step is not None:
        learner.failure = learner.ranks.from_first(lambda: on_step(learner))
    if learner.failure is not None:
        learner.save()
    return loss


@contextmanager
def _side_by_side(learners: int, device: str, ranks: Ranks) -> Iterator[Callable]:
    """A `map` over learners: on a CPU each core takes one at a time, which small networks use better than
    all cores together working on one (1.3 times faster with three students on two cores). Several ranks must
    meet learner by learner.
    """
    threads = torch.get_num_threads()
    workers = min(learners, threads)
    if device != "cpu" or workers == 1 or ranks.size > 1:
        yield lambda function, items: [function(item) for item in items]
        return
    share = threads // workers
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(share,)) as pool:
        yield lambda function, items: list(pool.map(function, items))


def loaded(stream, schedule: Schedule, start: int, device: str) -> Iterator[dict[str, Tensor]]:
    """Batches of a stream from step `start` on, on the device."""
    for batch in stream.loader(start, schedule.workers):
        yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def batches(clips: ClipStream, schedule: Schedule, start: int, device: str) -> Iterator[dict[str, Tensor]]:
    """As `loaded`, with the first masks taken apart."""
    slots = torch.arange(1, schedule.max_objects + 1, device=device)
    for batch in loaded(clips, schedule, start, device):
        batch["first_masks"] = slot_planes(batch["masks"][:, 0], schedule.max_objects)
        batch["valid"] = slots <= batch["num_objects"][:, None]
        yield batch


@torch.no_grad()
def teach(teacher: nn.Module, batch: dict[str, Tensor], learners: list[Learner], precision: str) -> Rollout:
    """The teacher's rollout over a batch, with the attention maps that the learners compare."""
    maps = set().union(*(x.teacher_maps for x in learners))
    device = batch["frames"].device.type
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        return answer(teacher, batch, maps)


@dataclass(frozen=True)
class Lessons:
    """How a stream becomes batches on the device, (stream, schedule, first step, device) -> batches, and what the
    teacher says of one, (teacher, batch, learners, precision) -> what `Learner.learn` takes."""

    batches: Callable[..., Iterator[dict[str, Tensor]]]
    teach: Callable


CLIPS = Lessons(batches, teach)
