"""job=evaluate: evaluate one method with given weights."""

from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.cells import run_cells
from bench.plan.ablation import Data
from bench.plan.cells import name_for_files
from bench.plan.data import locate
from bench.plan.plan import plan
from methods.outside import label


def run(config: DictConfig, runs: Path) -> int:
    cells = plan(config, Data({}, locate(config, "dataset", runs)))
    name = cells[0].dataset["name"]
    folder = f"evaluate-{name_for_files(config.method)}-{name}"
    return run_cells(cells, config, folder, f"{label(config.method)} on {name}", runs)
