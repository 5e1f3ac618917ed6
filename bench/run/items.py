"""What there is to do for the cells of a grid, in the order of what needs what."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from bench.plan.cells import Cell
from bench.run.evaluate_cell import cell_item
from bench.run.networks import count_workers, training_items
from bench.run.pool import work_apart
from bench.run.records import Setup
from bench.run.work import Failures, Item, work
from bench.train.ranks import ranks_here

Parts = tuple[list[Item], list[Item], list[Item]]


def items_of(cells: list[Cell], setup: Setup, data, failures: Mapping[str, str], processes: int = 1) -> Parts:
    """Cells before trainings, trainings, the other cells.

    Training starts with the first cell that needs it: baselines before it have by then read all of the data, so
    that damaged files are told before hours are spent.
    """
    trainings = [training for cell in cells for training in cell.network.trainings]
    first = next((number for number, cell in enumerate(cells) if cell.network.trainings), len(cells))
    items = [cell_item(number, cell, setup, data, failures) for number, cell in enumerate(cells)]
    before = [item for item in items if item.keys[0] < first]
    train = training_items(trainings, setup.runs, setup.device, failures, processes) if trainings else []
    return before, train, items[len(before) :]


def work_here(cells: list[Cell], setup: Setup, data) -> Iterator[tuple[Item, Any]]:
    """On this machine: trainings in `processes` side by side, evaluations one after the other in this process."""
    failures: Failures = {}
    processes = count_workers(setup.config.processes, setup.device)
    before, train, after = items_of(cells, setup, data, failures, processes)

    def write(_: Item, outcome: Any) -> None:
        if isinstance(outcome, dict):
            failures.update(outcome)

    if processes == 1:
        yield from work(before + train + after, write)
        ranks_here().from_first(lambda: failures)  # those after the first `follow` until then
        return
    yield from chain(work(before, write), work_apart(train, write, processes), work(after, write))
