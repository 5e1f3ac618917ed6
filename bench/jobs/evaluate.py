"""job=evaluate: judge one method with given weights."""

from pathlib import Path

from omegaconf import DictConfig

from bench.data import locate
from bench.jobs.cells import run_cells
from bench.plan import plan_evaluation


def run(config: DictConfig, runs: Path) -> int:
    dataset = locate(config.dataset, "dataset", runs)
    name, title = f"evaluate-{config.method}-{dataset['name']}", f"{config.method} on {dataset['name']}"
    return run_cells(plan_evaluation(config, dataset), config, name, title, runs)
