"""What a kind of task is made of: what networks learn, how they are evaluated, and what of their costs counts."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bench.plan.cells import Cell, Network, Training
from bench.train.learner import Look, Teaching


class Task(Teaching):
    """One entry of `bench.tasks.TASKS`. What depends on a run is handed to the methods; a task keeps nothing."""

    # In training, beside what `Teaching` has.

    @abstractmethod
    def stream(self, trainings: list[Training], networks: list[Any]):
        """Batches for trainings that share them, of a map-style stream with `part_of` and `loader`.

        networks: theirs, and their teacher's. Raises ConfigError for data that they cannot learn from.
        """

    def prepare(self, teacher: Any, network: Network, training: Training, stream, runs: Path, device: str):
        """What `teach` takes as its teacher; by default the network as it is."""
        return teacher

    def look(self, training: Training, stream, teacher: Any, device: str) -> Look | None:
        """What is asked of a network along its training, for its curve; None for nothing."""
        return None

    # Of a cell.

    @abstractmethod
    def open(self, dataset: dict[str, Any]):
        """What `evaluate` and `draw` take as data, of a located dataset."""

    def check(self, data, config: DictConfig) -> None:
        """Raise ConfigError for what the configuration wants of the data and cannot have."""
        return

    @abstractmethod
    def evaluate(
        self, cell: Cell, method, teacher: Callable[[], Any], data, folder: Path, device: str
    ) -> dict[str, Any]:
        """The record's fields of a method with weights; `folder`, the cell's, gets `scores.json` and more.

        teacher: gives the network that taught the method, or None.
        """

    def draw(self, data, folder: Path, config: DictConfig) -> dict[str, str]:
        """The record's fields of what may be drawn later than a cell was evaluated."""
        return {}

    def megapixels(self, data) -> float:
        """About how many pixels `evaluate` reads, in millions."""
        return 1.0

    @abstractmethod
    def costs(self, growth: bool) -> list[str]:
        """Fields of a record that tell whether all costs are measured (bench.measure.full_size)."""
