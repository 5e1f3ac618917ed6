"""What jobs that run a grid of cells share."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.results import results_folder, tell
from bench.plan.ablation import Data
from bench.plan.cells import Cell
from bench.plan.data import check_apart, locate, locate_stages
from bench.run.grid import run_grid
from bench.run.local import Local
from bench.train.ranks import ranks_here


def locate_data(config: DictConfig, runs: Path) -> Data:
    """The data to learn from, stage by stage, and to be judged on; ConfigError where these are not apart."""
    stages = locate_stages(config, runs)
    training, dataset = locate(config.training, "training", runs), locate(config.dataset, "dataset", runs)
    check_apart(dataset, [training, *stages.values()])
    return Data(training, dataset, stages)


def run_cells(cells: list[Cell], config: DictConfig, name: str, title: str, runs: Path) -> int:
    """Run the grid into its folder; the exit code is 1 when no cell succeeded.

    Of several ranks those after the first take part in the trainings alone.
    """
    if not ranks_here().leads:
        Local(config, runs).train(cells)
        return 0
    out = results_folder(config, name)
    try:
        records = run_grid(cells, config, title, runs, out)
    except KeyboardInterrupt:
        tell(out)
        raise
    tell(out)
    failed = [record for record in records if record.status != "ok"]
    for record in failed:
        print(f"warning: {record.label} seed {record.seed} {record.status}", file=sys.stderr)
    return 1 if len(failed) == len(records) else 0
