"""What the parts of a run take, about: by how much its bar moves. Only their ratios matter."""

from typing import Any

from omegaconf import DictConfig

import methods
from bench.measure.full_size import SIZES
from bench.plan.cells import Cell, Network, Training, content_hash
from bench.tasks import TASKS

# Seconds on two cores, for a million pixels and a network of full width.
TRAINING, EVALUATION = 4.0, 5.0
SCORING = 1.0  # whatever gave the masks
MEASUREMENT = 12.0  # of the costs of a network at full size


def training_effort(training: Training) -> dict[str, float]:
    schedule = training.schedule
    pixels = schedule.steps * schedule.batch * schedule.length * schedule.crop**2
    return {"train": TRAINING * pixels / 1e6 * _width(training)}


def cell_efforts(cells: list[Cell], data: Any, config: DictConfig) -> list[dict[str, float]]:
    """Of each cell; the cells of one network at full size share what was measured of it first."""
    found, measured = [], set()
    pixels = TASKS[cells[0].task].megapixels(data) if cells else 0.0
    for cell in cells:
        network, efforts = cell.network, dict[str, float]()
        learns = methods.entry(network.method).needs_weights
        if not cell.cost_only:
            efforts["evaluate"] = pixels * (SCORING + (EVALUATION * _width(network) if learns else 0.0))
        options = {key: value for key, value in network.built_with.items() if key not in SIZES}
        name = content_hash([network.method, options])
        if config.measure and learns and name not in measured:
            efforts["measure"] = MEASUREMENT
            measured.add(name)
        found.append(efforts)
    return found


def _width(network: Network | Training) -> float:
    return float(network.options.get("width", 1.0))
