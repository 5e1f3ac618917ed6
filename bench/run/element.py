"""What every job of a run on a cluster does, and the notes by which all jobs and their run work together."""

import os
import signal
import sys
import warnings
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from bench.plan.cells import Cell
from bench.record import Record
from bench.run.items import items_of
from bench.run.records import Setup, here
from bench.run.scheduler import ask
from bench.run.work import Item, work
from bench.system.errors import USER_ERRORS, show_warning
from bench.system.files import read_json, write_json
from bench.system.stopping import EXIT_CODE, Stopped, listening
from bench.tasks import TASKS

SECONDS_OF_PATIENCE = 60.0  # of a job that finds nothing to take: then its place is for others
# SIGTERM: cancelled, requeued or preempted. SIGUSR2: submitit's sign that the time of the job is nearly up.
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


class Notes:
    """What the jobs of one run tell each other and who submitted them: a JSON file each, by key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __contains__(self, key: object) -> bool:
        return self._path(key).exists()

    def __getitem__(self, key: object) -> Any:
        return read_json(self._path(key))

    def __setitem__(self, key: object, content: Any) -> None:
        write_json(self._path(key), content)

    def _path(self, key: object) -> Path:
        return self.folder / f"{key}.json"


class Board:
    """A run's folder: records of cells by number, failures of trainings, and by which jobs each was begun."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records, self.failures, self.begun = (Notes(folder / x) for x in ("records", "failures", "begun"))

    def items(self, cells: list[Cell], setup: Setup, data, job: str = "") -> list[Item]:
        """What there is to do for the cells, of which each job has the same list."""
        found = chain(*items_of(cells, setup, data, self.failures))
        return [self._shared(item, job) for item in found]

    def write(self, item: Item, outcome: Record | dict[str, str], log: Path) -> None:
        """Failures get the log that tells more."""
        if isinstance(outcome, dict):
            for key, why in outcome.items():
                self.failures[key] = f"{why}; log: {log}"
        else:
            if outcome.status != "ok" and "; log: " not in outcome.status:
                outcome = replace(outcome, status=f"{outcome.status}; log: {log}")
            self.records[item.keys[0]] = asdict(outcome)

    def _shared(self, item: Item, job: str) -> Item:
        number = item.keys[0]
        changes: dict[str, Any] = {"do": partial(self._begin, item, job)}
        if isinstance(number, int):
            changes["done"] = lambda: number in self.records
            changes["locks"] = item.locks or {self.folder / f"{number}.lock": "measuring"}
        if halves := item.halves():
            changes["halves"] = lambda: [self._shared(half, job) for half in halves]
        return replace(item, **changes)

    def _begin(self, item: Item, job: str) -> Any:
        print(", ".join(item.locks.values()), file=sys.stderr, flush=True)
        for key in item.keys:
            self.begun[key] = [*(self.begun[key] or []), job]
        return item.do()


@dataclass
class Element:
    """What every job does: works on the cells as long as there is something to take."""

    cells: list[Cell]
    config: DictConfig
    runs: Path
    folder: Path
    threads: int

    def __call__(self) -> Exception | None:
        """A mistake of the user's (USER_ERRORS) is the job's result."""
        warnings.showwarning = show_warning
        torch.set_num_threads(self.threads)
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's handler
        try:
            with listening(*SIGNALS):
                self.work()
        except USER_ERRORS as error:
            return error
        except Stopped:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            print("asked to stop: what is trained is saved", file=sys.stderr)
            if _is_to_go_on():
                requeue(signal.SIGUSR2, None)
            sys.exit(EXIT_CODE)
        return None

    def work(self) -> None:
        from submitit import JobEnvironment

        job, board, setup = JobEnvironment(), Board(self.folder), here(self.config, self.runs)
        first = self.cells[0]
        items = board.items(self.cells, setup, TASKS[first.task].open(first.dataset), job.job_id)
        for _ in work(items, partial(board.write, log=job.paths.stdout), SECONDS_OF_PATIENCE):
            pass

    def checkpoint(self):
        """For submitit: what a requeued job does."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _is_to_go_on() -> bool:
    """Whether Slurm counts this job as running: its time is nearly up, or another one needs its place.

    If it ended now, nobody would put it back into the queue. A cancelled job, and one that Slurm itself has
    requeued, is in another state.
    """
    found = ask("scontrol", "--oneliner", "show", "job", os.environ.get("SLURM_JOB_ID", ""))
    return "JobState=RUNNING" in (found or "").split()
