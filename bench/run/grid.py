"""Running a grid of cells: train once, evaluate, record; what is finished is never done again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from bench.plan.cells import Cell
from bench.record import Record, to_jsonl
from bench.run.judge import blank, cell_folder
from bench.run.local import Local
from bench.run.networks import progress
from bench.run.slurm import Slurm
from bench.score.cell_pictures import choose_sequences
from bench.system.databases import without_passwords
from bench.system.files import write_text
from bench.tracking.tracker import Tracker
from datasets.opening import open_evaluation

LAUNCHERS = {"local": Local, "slurm": Slurm}
NOT_RUN = "not run: an earlier cell is still at work"


def run_grid(cells: list[Cell], config: DictConfig, title: str, runs: Path, out: Path) -> list[Record]:
    """Finish every cell; `out/records.jsonl` is rewritten after each, so that a kill loses at most one.

    `config.launcher` says where. A cell whose training or evaluation fails is recorded as failed and stops
    nothing; when the user stops the run, unfinished cells are recorded so.
    """
    if not cells[0].prompted:
        choose_sequences(open_evaluation(cells[0].dataset), config.pictures)  # a wrong name is told first
    launcher = LAUNCHERS[config.launcher.name](config, runs)
    write_text(out / "title.txt", title + "\n")
    write_text(out / "config.yaml", OmegaConf.to_yaml(without_passwords(config)))
    tracker = Tracker(config.tracking_uri, runs, out.name)
    with tracker.invocation(title, config, launcher.setup.facts, out):
        records = [blank(cell, launcher.setup, status=NOT_RUN) for cell in cells]
        with _told_when_stopped(cells, records, runs, out):
            for number, record in launcher.finish(cells):
                cell = cells[number]
                evaluated = record.status == "ok" and not cell.cost_only
                folder = cell_folder(cell, runs) if evaluated else None
                if folder and not record.mlflow_run_id and (archive := folder / "submission.zip").exists():
                    print(f"for the evaluation server: {archive}")
                records[number] = tracker.log(record, folder)
                write_text(out / "records.jsonl", to_jsonl(records))
        tracker.table = records
    write_text(out / "records.jsonl", to_jsonl(tracker.table))
    return tracker.table


@contextmanager
def _told_when_stopped(cells: list[Cell], records: list[Record], runs: Path, out: Path) -> Iterator[None]:
    """Write the records of a run that is stopped by the user, with how far the unfinished cells came."""
    try:
        yield
    except KeyboardInterrupt:
        for number, cell in enumerate(cells):
            if records[number].status == NOT_RUN:
                status = f"interrupted: {progress(cell.network, runs)}"
                records[number] = replace(records[number], status=status)
        write_text(out / "records.jsonl", to_jsonl(records))
        print(f"\nunfinished cells are marked in {out}", file=sys.stderr)
        raise
