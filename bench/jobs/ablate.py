"""job=ablate: train and evaluate every cell of an ablation."""

from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.cells import exit_code, locate_data, told_results
from bench.plan.plan import plan
from bench.run.grid import run_grid


def run(config: DictConfig, runs: Path) -> int:
    cells = plan(config, locate_data(config, runs))
    with told_results(config, config.ablation.name) as out:
        records = run_grid(cells, config, config.ablation.title, runs, out)
    return exit_code(records)
