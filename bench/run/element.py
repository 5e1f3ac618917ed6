"""What every job of a run on a cluster does, and the files by which it tells the run that submitted it."""

import os
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from bench.plan.cells import Cell
from bench.record import Record
from bench.run.evaluate_cell import items_of
from bench.run.records import Setup, here
from bench.run.scheduler import ask
from bench.run.work import Item, work
from bench.system.errors import USER_ERRORS, show_warning
from bench.system.files import read_json, write_json
from bench.system.progress import tell_early
from bench.system.stopping import EXIT_CODE, Stopped, listening
from bench.tasks import TASKS

SECONDS_OF_PATIENCE = 60.0  # of a job that finds nothing to take: then its place is for others
SECONDS_BEFORE_A_LINE = 2.0  # of progress in the log
# SIGTERM: cancelled, requeued or preempted. SIGUSR2: submitit's sign that the time of the job is nearly up.
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


class Notes(Mapping[Any, Any]):
    """A folder of JSON files of one shape (see `fits`), by name."""

    def __init__(self, folder: Path, shape: Any) -> None:
        self.folder, self.shape = folder, shape

    def __getitem__(self, key: object) -> Any:
        if (content := read_json(self.folder / f"{key}.json", self.shape)) is None:
            raise KeyError(key)
        return content

    def __setitem__(self, key: object, content: Any) -> None:
        write_json(self.folder / f"{key}.json", content)

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in self.folder.glob("*.json"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass
class Element:
    """The work of a run, which each of its jobs does as long as there is something to take.

    Below `folder` are the records of cells by number, and why trainings or, by number, cells have failed.
    """

    cells: list[Cell]
    config: DictConfig
    runs: Path
    folder: Path
    threads: int

    def __post_init__(self) -> None:
        self.records, self.failures = Notes(self.folder / "records", Record), Notes(self.folder / "failures", str)

    def items(self, setup: Setup, data) -> list[Item]:
        """What there is to do for the cells, of which each job has the same list."""
        items = list(chain(*items_of(self.cells, setup, data, self.failures)))
        for place, item in enumerate(items):
            if isinstance(number := item.keys[0], int):
                name = f"{self.cells[number].label} seed {self.cells[number].seed}"
                locks = item.locks or {self.folder / f"{number}.lock": f"measuring {name}"}
                items[place] = replace(item, locks=locks, done=partial(self.told, number))
        return items

    def told(self, number: int) -> bool:
        """Whether a cell has its record, or has failed."""
        return number in self.records or number in self.failures

    def write(self, item: Item, outcome: Record | dict[Any, str], log: Path) -> None:
        """Failures get the log that tells more."""
        if isinstance(outcome, Record):
            if outcome.status != "ok" and "; log: " not in outcome.status:
                outcome = replace(outcome, status=f"{outcome.status}; log: {log}")
            self.records[item.keys[0]] = asdict(outcome)
        else:
            for key, why in outcome.items():
                self.failures[key] = f"{why}; log: {log}"

    def __call__(self) -> Exception | None:
        """A mistake of the user's (USER_ERRORS) is the job's result."""
        warnings.showwarning = show_warning
        tell_early(SECONDS_BEFORE_A_LINE)
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
            # Slurm counts a job as running whose time is nearly up or whose place another one needs: if it ended
            # now, nobody would put it back into the queue. A cancelled or requeued one is in another state.
            found = ask("scontrol", "--oneliner", "show", "job", os.environ.get("SLURM_JOB_ID", ""))
            if "JobState=RUNNING" in (found or "").split() and callable(requeue):
                requeue(signal.SIGUSR2, None)
            sys.exit(EXIT_CODE)
        return None

    def work(self) -> None:
        """What is begun is printed: by that the log of a job that dies says what it was at."""
        from submitit import JobEnvironment

        first, log = self.cells[0], JobEnvironment().paths.stdout
        items = self.items(here(self.config, self.runs), TASKS[first.task].open(first.dataset))

        def begin(item: Item) -> None:
            print(*item.locks.values(), sep="\n", file=sys.stderr, flush=True)

        for _ in work(items, partial(self.write, log=log), SECONDS_OF_PATIENCE, begin):
            pass

    def checkpoint(self):
        """For submitit: what a requeued job does."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
