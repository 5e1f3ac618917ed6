"""launcher=local: this machine."""

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from bench.plan.cells import Cell
from bench.plan.data import open_judged
from bench.record import Record
from bench.run.judge import failed, here, judge
from bench.run.networks import train_all
from bench.run.pool import Failures


class Local:
    """Trainings side by side in processes of their own, evaluations one after the other in this one."""

    def __init__(self, config: DictConfig, runs: Path) -> None:
        self.setup = here(config, runs)

    def finish(self, cells: list[Cell]) -> Iterator[tuple[int, Record]]:
        """The record of each cell, with its number.

        Training starts with the first cell that needs it: baselines before it have by then read all of the
        data, so that damaged files are told before hours are spent.
        """
        judged, failures = open_judged(cells[0].dataset), None
        for number, cell in enumerate(cells):
            if cell.network.trainings and failures is None:
                failures = self.train(cells)
            yield number, failed(cell, self.setup, failures or {}) or judge(cell, self.setup, judged)

    def train(self, cells: list[Cell]) -> Failures:
        """All that the cells need; {key: why it failed}."""
        wanted = [training for cell in cells for training in cell.network.trainings]
        setup = self.setup
        return train_all(wanted, setup.runs, setup.device, setup.config.processes) if wanted else {}
