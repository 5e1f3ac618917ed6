"""job=evaluate: evaluate one method with given weights."""

from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.cells import exit_code, told_results
from bench.plan.ablation import Data
from bench.plan.cells import name_for_files
from bench.plan.data import locate
from bench.plan.plan import plan
from bench.run.grid import run_grid
from methods.outside import label


def run(config: DictConfig, runs: Path) -> int:
    cells = plan(config, Data({}, locate(config.dataset, "dataset", runs)))
    name = cells[0].dataset["name"]
    with told_results(config, f"evaluate-{name_for_files(config.method)}-{name}") as out:
        records = run_grid(cells, config, f"{label(config.method)} on {name}", runs, out)
    return exit_code(records)
