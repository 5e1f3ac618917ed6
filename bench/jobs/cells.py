"""What jobs that run a grid of cells share."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.results import results_folder, tell
from bench.plan.ablation import Data
from bench.plan.cells import Cell
from bench.plan.data import check_apart, locate_all
from bench.run.grid import run_grid
from bench.system.errors import say


def locate_data(config: DictConfig, runs: Path) -> Data:
    """The data to learn from, stage by stage, and to be evaluated on; ConfigError where these are not apart."""
    found = locate_all(config, runs, "training", "dataset")
    dataset = found.pop("dataset")
    check_apart(dataset, list(found.values()))
    return Data(found.pop("training"), dataset, found)


def run_cells(cells: list[Cell], config: DictConfig, name: str, title: str, runs: Path) -> int:
    """Run a grid; its folder of results is told at the end, also of a run that is stopped.

    Returns 1 when no cell succeeded; those that failed are told.
    """
    out = results_folder(config, name)
    try:
        records = run_grid(cells, config, title, runs, out)
    finally:
        if not isinstance(sys.exception(), Exception):
            tell(out)
    failed = [record for record in records if record.status != "ok"]
    for record in failed:
        say(f"warning: {record.label} seed {record.seed} {record.status}")
    return 1 if failed and len(failed) == len(records) else 0
