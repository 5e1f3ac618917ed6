"""job=ablate: train and judge every cell of an ablation."""

from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.cells import locate_data, run_cells
from bench.plan.ablation import plan_ablation


def run(config: DictConfig, runs: Path) -> int:
    cells = plan_ablation(config, locate_data(config, runs))
    return run_cells(cells, config, config.ablation.name, config.ablation.title, runs)
