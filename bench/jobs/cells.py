"""What jobs that run a grid of cells share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.results import results_folder, tell
from bench.plan.ablation import Data
from bench.plan.data import check_apart, locate, locate_stages
from bench.record import Record


def locate_data(config: DictConfig, runs: Path) -> Data:
    """The data to learn from, stage by stage, and to be evaluated on; ConfigError where these are not apart."""
    stages = locate_stages(config, runs)
    training, dataset = locate(config.training, "training", runs), locate(config.dataset, "dataset", runs)
    check_apart(dataset, [training, *stages.values()])
    return Data(training, dataset, stages)


@contextmanager
def told_results(config: DictConfig, name: str) -> Iterator[Path]:
    """The folder of results, which is told at the end, also of a run that is stopped."""
    out = results_folder(config, name)
    try:
        yield out
    except KeyboardInterrupt:
        tell(out)
        raise
    tell(out)


def exit_code(records: list[Record]) -> int:
    """1 when no cell succeeded; those that failed are told."""
    failed = [record for record in records if record.status != "ok"]
    for record in failed:
        print(f"warning: {record.label} seed {record.seed} {record.status}", file=sys.stderr)
    return 1 if failed and len(failed) == len(records) else 0
