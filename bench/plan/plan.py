"""From a configuration to the cells that a job trains and evaluates."""

from omegaconf import DictConfig

from bench.plan.ablation import Data, plan_ablation, plan_evaluation
from bench.plan.cells import Cell
from bench.plan.compare import plan_comparison

PLANS = {"ablate": plan_ablation, "give": plan_ablation, "evaluate": plan_evaluation, "compare": plan_comparison}


def plan(config: DictConfig, data: Data) -> list[Cell]:
    """The cells of `config.job`, one of PLANS. Raises ConfigError for what no cell can be made of."""
    return PLANS[config.job](config, data)
