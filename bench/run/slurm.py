"""launcher=slurm: identical jobs that take what no lock holds; this process submits, watches and collects."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from bench.measure.full_size import wanted_fields
from bench.plan.cells import Cell
from bench.plan.launcher import read_settings
from bench.record import Record, to_record
from bench.run.element import Element
from bench.run.records import Setup, blank, named_after, stored
from bench.run.scheduler import Scheduler
from bench.run.work import Item, held_by_another
from bench.system.databases import without_passwords
from bench.system.errors import USER_ERRORS, say
from bench.system.progress import track
from bench.system.stopping import Stopped
from bench.tasks import TASKS

SECONDS_BETWEEN_LOOKS = 2.0  # at what the jobs leave, and at the queue
# A job that is not in the queue may have left a result that a shared file system shows only later.
SECONDS_OF_SILENCE = 90.0


def work_on_cluster(cells: list[Cell], setup: Setup, data) -> Iterator[tuple[Item, Record]]:
    """The record of each cell, as the jobs leave them."""
    settings = read_settings(setup.config)
    folder = setup.runs / "jobs" / f"{time.strftime('%Y-%m-%d_%H%M%S')}_{os.getpid()}"
    element = Element(cells, without_passwords(setup.config), setup.runs, folder, settings.cpus)
    items = element.items(setup, data)
    left = {item.keys[0]: item for item in items if isinstance(item.keys[0], int)}
    with (
        track("follow", "the jobs", len(cells), "cells") as bar,
        Jobs(Scheduler(settings), element).at_work() as jobs,
    ):
        while True:
            found = {n: record for n in left if (record := _found(n, element, setup))}
            for number, record in found.items():
                element.records[number] = asdict(record)  # what another run has done, none of our jobs takes up
                bar.update()
                yield left.pop(number), record
            if not left:
                return
            items = [item for item in items if not item.done()]
            jobs.look(items)
            bar.update(0, jobs.states)
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _found(number: int, element: Element, setup: Setup) -> Record | None:
    """The record that a job has left or, with all that is wanted of its costs, another run in the cell's folder."""
    cell = element.cells[number]
    if why := element.failures.get(number):
        return blank(cell, setup, status=f"failed: {why}")
    told = to_record(element.records[number]) if number in element.records else None
    if cell.cost_only or (told and told.status != "ok"):
        return told
    # Also of two rows with the same cell: there the second finds the MLflow run of the first.
    record = stored(cell, setup.runs)
    if told:
        return named_after(record or told, cell)
    costs = TASKS[cell.task].costs(bool(setup.config.ablation.get("growth"))) if setup.config.measure else []
    wanted = wanted_fields(cell.network, costs)
    return record if all(getattr(record, field, None) not in (None, "") for field in wanted) else None


class Jobs:
    """The jobs of a run: as many as there is something to do for; others in the place of those that die.

    An item that the jobs of which die, `1 + launcher.retries` of them or one for want of memory, has failed.
    """

    def __init__(self, scheduler: Scheduler, element: Element) -> None:
        self.scheduler, self.element = scheduler, element
        self.alive: dict[str, Any] = {}
        self.deaths: Counter[tuple] = Counter()  # of jobs, by the keys of the item that they were at
        self.wasted = 0  # that died before they began anything
        self.missed: dict[str, float] = {}  # since when a job is not in the queue
        self.queue: dict[str, str] | None = {}

    @contextmanager
    def at_work(self) -> Iterator["Jobs"]:
        """An error or Ctrl-C cancels them; a run that is killed or asked to stop leaves them at work."""
        try:
            yield self
        except Stopped:
            if self.alive:
                say(f"{len(self.alive)} jobs stay at work or in the queue")
            raise
        except (Exception, KeyboardInterrupt):
            self.scheduler.cancel(list(self.alive.values()))
            raise

    @property
    def states(self) -> str:
        """`2 running, 3 pending (Resources)`"""
        states = [state for name in self.alive if (state := (self.queue or {}).get(name))]
        return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))

    def look(self, items: list[Item]) -> None:
        """See what has become of the jobs, and submit what the items, which are not done, want."""
        before, self.queue = self.queue, self.scheduler.queue()
        if self.queue is None:
            if before is not None:
                say("Slurm does not answer (squeue); waiting until it does")
            return
        for job in list(self.alive.values()):
            self._follow(job, items)
        # Those that other runs are at need no job of this one.
        ready = [item for item in items if item.ready() and not item.done()]
        if not all(map(held_by_another, ready)):
            count = min(self.scheduler.settings.at_once, len(ready)) - len(self.alive)
            jobs = self.scheduler.submit(self.element, count, self.element.folder) if count > 0 else []
            for job in jobs:
                say(f"job {job.job_id}; log: {job.paths.stdout}")
            self.alive |= {job.job_id: job for job in jobs}

    def _follow(self, job, items: list[Item]) -> None:
        if found := self.scheduler.result(job):
            del self.alive[job.job_id]
            kind, value = found
            if isinstance(value, USER_ERRORS):
                raise value
            if kind != "success":
                self._bury(job, (value.strip().splitlines() or ["error"])[-1], items)
        elif job.job_id in (self.queue or ()):
            self.missed.pop(job.job_id, None)
        elif time.monotonic() - self.missed.setdefault(job.job_id, time.monotonic()) > SECONDS_OF_SILENCE:
            del self.alive[job.job_id]
            self._bury(job, self.scheduler.ending(job), items)

    def _bury(self, job, why: str, items: list[Item]) -> None:
        """A job is dead: what it was at is left to another, or has failed."""
        retries, log = self.scheduler.settings.retries, job.paths.stdout
        told, hopeless = f"job {job.job_id} ended without a result: {why}", "OUT_OF_MEMORY" in why
        begun = set(log.read_text(errors="replace").splitlines()) if log.exists() else set()
        lost = [item for item in items if begun & set(item.locks.values()) and not item.done()]
        self.deaths.update(item.keys for item in lost)
        self.wasted += not lost
        failed = [item for item in lost if hopeless or self.deaths[item.keys] > retries]
        if self.wasted > retries:
            failed = items
        for item in failed:
            why = told + "; raise launcher.memory_gb" * hopeless
            self.element.write(item, dict.fromkeys(item.keys, why), log)
        if not failed:
            say(f"{told}; another takes its place; log: {log}")
