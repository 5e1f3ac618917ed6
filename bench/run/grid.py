"""Running a grid of cells: train once, evaluate, record; what is finished is never done again."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.plan.cells import Cell
from bench.record import Record, to_jsonl
from bench.run.evaluate_cell import items_of
from bench.run.networks import follow, progress
from bench.run.pool import work_apart
from bench.run.records import Setup, blank, cell_folder, here
from bench.run.slurm import work_on_cluster
from bench.run.work import Failures, Item, work
from bench.system.databases import without_passwords
from bench.system.environment import git_commit, pick_device, versions
from bench.system.errors import say
from bench.system.files import write_text
from bench.system.progress import run
from bench.system.workers import count_processes
from bench.tasks import TASKS
from bench.tracking.tracker import Tracker
from bench.train.ranks import ranks_here

NOT_RUN = "not run: an earlier cell is still at work"


def run_grid(cells: list[Cell], config: DictConfig, title: str, runs: Path, out: Path) -> list[Record]:
    """Finish every cell; `out/records.jsonl` is rewritten after each, so that a kill loses at most one.

    `config.launcher` says where. A cell whose training or evaluation fails is recorded as failed and stops
    nothing; when the user stops the run, unfinished cells are recorded so. Of several ranks those after the first
    take part in the trainings alone, and have no records.
    """
    if not ranks_here().leads:
        follow([each for cell in cells for each in cell.network.trainings], runs, pick_device(config.device))
        return []
    task = TASKS[cells[0].task]
    data = task.open(cells[0].dataset)
    task.check(data, config)  # a wrong name is told first
    elsewhere = config.launcher.name == "slurm"
    if elsewhere:  # which device there is, every job finds out for itself: the machine that submits needs none
        facts = {"device": "", "versions": versions(), "git_commit": git_commit()}
        setup = Setup(config, runs, config.device, facts)
    else:
        setup = here(config, runs)
    write_text(out / "title.txt", title + "\n")
    write_text(out / "config.yaml", OmegaConf.to_yaml(without_passwords(config)))
    with _tracked(title, config, setup, out) as tracker:
        records = [blank(cell, setup, status=NOT_RUN) for cell in cells]
        try:
            for item, record in (work_on_cluster if elsewhere else work_here)(cells, setup, data):
                if isinstance(record, Record):
                    number = item.keys[0]
                    records[number] = _recorded(cells[number], record, runs, tracker)
                    write_text(out / "records.jsonl", to_jsonl(records))
        except KeyboardInterrupt:
            for number, cell in enumerate(cells):
                if records[number].status == NOT_RUN:
                    status = f"interrupted: {progress(cell.network, runs)}"
                    records[number] = replace(records[number], status=status)
            write_text(out / "records.jsonl", to_jsonl(records))
            say(f"\nunfinished cells are marked in {out}")
            raise
        tracker.table = records
    write_text(out / "records.jsonl", to_jsonl(tracker.table))
    return tracker.table


class Untracked:
    """In place of a Tracker where `runs` can only be read: what is finished is shown, and recorded nowhere."""

    table: list[Record]

    def log(self, record: Record, cell: Path | None = None) -> Record:
        return record


def _tracked(
    title: str, config: DictConfig, setup: Setup, out: Path
) -> AbstractContextManager[Tracker | Untracked]:
    runs = setup.runs
    if runs.is_dir() and not os.access(runs, os.W_OK):
        say(f"warning: {runs} cannot be written to: what is finished is shown, and nothing is recorded in MLflow")
        return nullcontext(Untracked())
    return Tracker(config.tracking_uri, runs, out.name).invocation(title, config, setup.facts, out)


def _recorded(cell: Cell, record: Record, runs: Path, tracker: Tracker | Untracked) -> Record:
    evaluated = record.status == "ok" and not cell.cost_only
    folder = cell_folder(cell, runs) if evaluated else None
    if folder and not record.mlflow_run_id and (archive := folder / "submission.zip").exists():
        say(f"for the evaluation server: {archive}", sys.stdout)
    return tracker.log(record, folder)


def work_here(cells: list[Cell], setup: Setup, data) -> Iterator[tuple[Item, Any]]:
    """On this machine: trainings in `processes` side by side, evaluations one after the other in this process."""
    failures, ranks = Failures(), ranks_here()
    # Several ranks train all networks together, one group after the other.
    processes = 1 if ranks.size > 1 else count_processes(setup.config.processes, setup.device)
    before, train, after = items_of(cells, setup, data, failures, processes)

    def write(_: Item, outcome: Any) -> None:
        if isinstance(outcome, dict):
            failures.update(outcome)

    with run({key: each for item in (*before, *train, *after) for key, each in item.efforts.items()}):
        yield from chain(work(before, write), work_apart(train, write, processes), work(after, write))
    ranks.from_first(lambda: failures)  # those after the first `follow` until then
