"""job=ablate: train and evaluate every cell of an ablation."""

from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.cells import locate_data, run_cells
from bench.plan.plan import plan


def run(config: DictConfig, runs: Path) -> int:
    cells = plan(config, locate_data(config, runs))
    return run_cells(cells, config, config.ablation.name, config.ablation.title, runs)
