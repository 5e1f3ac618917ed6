"""job=evaluate: judge one method with given weights."""

from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.cells import run_cells
from bench.plan.ablation import plan_evaluation
from bench.plan.cells import name_for_files
from bench.plan.data import locate
from methods.outside import label


def run(config: DictConfig, runs: Path) -> int:
    dataset = locate(config.dataset, "dataset", runs)
    name = f"evaluate-{name_for_files(config.method)}-{dataset['name']}"
    title = f"{label(config.method)} on {dataset['name']}"
    return run_cells(plan_evaluation(config, dataset), config, name, title, runs)
