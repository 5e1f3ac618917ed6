"""Training students side by side: one stream of clips, one teacher forward a batch, K students.

The results equal those of training each alone: clips and noise are functions of (seed, step), and students
share nothing but what they read. Several ranks do this with a part of every batch each, in step.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import nn

from bench.plan.recipe import Schedule
from bench.system.progress import track
from bench.system.stopping import saving_first, stop_if_asked
from bench.train.answers import Tensors
from bench.train.learner import Diverged, Learner, Look
from bench.train.ranks import Ranks
from datasets.clips import ClipStream

SECONDS_BETWEEN_CHECKPOINTS = 30
OnStep = Callable[[Learner], str | None]


def train_group(
    learners: list[Learner],
    stream: ClipStream,
    schedule: Schedule,
    seed: int,
    teacher: nn.Module | None,
    device: str,
    on_step: OnStep | None = None,
    look: Look | None = None,
) -> None:
    """Train all learners, of one task, to the end, resuming each from its checkpoint; failed ones get a `failure`.

    Learners that stopped at different steps are trained one bunch after the other. stream and teacher: of the task.
    What `on_step` answers after a learner's step, if not None, is why that one stops here; it keeps its checkpoint.
    Of several ranks the first one's is asked, if all have one. look: see `Learner.look`.
    """
    ranks, task = learners[0].ranks, learners[0].task
    for learner in learners:
        learner.method.to(device)
        learner.projectors.to(device)
        learner.resume()
    stream = stream.part_of(ranks.number, ranks.size)
    for start, same in groupby(sorted(learners, key=lambda x: x.step), key=lambda x: x.step):
        running = list(same)
        names = ", ".join(dict.fromkeys(x.name for x in running))
        with (
            saving_first(partial(_save, running)),
            track("train", names, schedule.steps, "steps", start) as bar,
            _side_by_side(len(running), device, ranks) as for_each,
        ):
            saved_at = time.monotonic()
            for batch in task.batches(stream, schedule, start, device):
                answers = None if teacher is None else task.teach(teacher, batch, running, schedule.precision)
                step = partial(_step, batch=batch, answers=answers, seed=seed, on_step=on_step, look=look)
                losses = list(for_each(step, running))
                running[:] = [learner for learner in running if learner.failure is None]
                bar.update(1, f"loss {losses[0]:.3f}")
                if not running:
                    break
                stop_if_asked(ranks.any)
                if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                    _save(running)
                    saved_at = time.monotonic()
        for learner in running:
            learner.finish()


def _save(running: list[Learner]) -> None:
    for learner in running:
        learner.save()


def _step(
    learner: Learner, batch: Tensors, answers: Any, seed: int, on_step: OnStep | None, look: Look | None
) -> float:
    """The loss of a step, after which the learner may have a `failure`."""
    if look is not None and learner.step == 0:
        learner.look(look)
    try:
        loss = learner.learn(batch, answers, seed)
    except Diverged as error:
        learner.failure = str(error)
        return float("nan")
    if look is not None:
        learner.look(look)
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
        yield map
        return
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
        yield pool.map
