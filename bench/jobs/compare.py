"""job=compare: methods side by side, of users' own among the suite's."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

import methods
from bench.jobs.cells import locate_data, run_cells
from bench.plan.ablation import Data
from bench.plan.compare import check_entries
from bench.plan.compose import method_entries
from bench.plan.data import locate
from bench.plan.plan import plan
from bench.score.folder import Protocol, find_tasks
from datasets.opening import open_evaluation
from methods import outside


def run(config: DictConfig, runs: Path) -> int:
    """Evaluate every method that is listed; those without weights are trained first."""
    check_entries(config)
    entries = method_entries(config)
    if any(weights is None and methods.is_trainable(name) for name, weights in entries):
        data = locate_data(config, runs)
    else:
        data = Data({}, locate(config, "dataset", runs))
    cells = plan(config, data)
    for name, _ in entries:
        if outside.is_masks(name):  # before anything is trained
            masks: Any = methods.create(name)
            find_tasks(open_evaluation(data.dataset), masks.folder, Protocol())
    labels = list(dict.fromkeys(cell.label for cell in cells))
    title = f"{', '.join(labels[:-1])} and {labels[-1]} on {data.dataset['name']}"
    return run_cells(cells, config, "compare", title, runs)
