"""job=ablate: train and judge every cell of an ablation."""

from pathlib import Path

from omegaconf import DictConfig

from bench.compose import STAGES
from bench.data import check_apart, locate
from bench.jobs.cells import run_cells
from bench.plan import Data, plan_ablation


def run(config: DictConfig, runs: Path) -> int:
    stages = {name: locate(config[name], name, runs) for name in STAGES if config[name].kind != "none"}
    training, dataset = locate(config.training, "training", runs), locate(config.dataset, "dataset", runs)
    check_apart(dataset, [training, *stages.values()])
    cells = plan_ablation(config, Data(training, dataset, stages))
    return run_cells(cells, config, config.ablation.name, config.ablation.title, runs)
