"""The cells of a grid: in which order, and each with the weights that it has by then: scores, figures, costs."""

import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

import methods
from bench.measure.complexity import method_parameters
from bench.measure.full_size import busy_fields, full_size, named_busy
from bench.measure.load import Quiet
from bench.plan.cells import Cell, trained_folder
from bench.record import Record
from bench.run.efforts import cell_efforts
from bench.run.networks import build, describe, ended, training_items, why_failed
from bench.run.records import Setup, blank, cell_folder, stored
from bench.run.sampling_picture import describe_sampling
from bench.run.work import Item
from bench.run.work import describe as describe_error
from bench.score.held_out import held_out_score
from bench.score.inference import NotFinite
from bench.system.errors import USER_ERRORS, ConfigError
from bench.system.files import drop_unfinished, write_json, write_text
from bench.tasks import TASKS, Task
from bench.train.shares import typical_shares
from methods import outside
from methods.checkpoint import read_file
from methods.errors import MethodError


def items_of(
    cells: list[Cell], setup: Setup, data, failures: Mapping[str, str], processes: int = 1
) -> tuple[list[Item], list[Item], list[Item]]:
    """What there is to do for the cells of a grid: cells before trainings, trainings, the other cells.

    Training starts with the first cell that needs it: baselines before it have by then read all of the data, so
    that damaged files are told before hours are spent.
    """
    trainings = [training for cell in cells for training in cell.network.trainings]
    first = next((number for number, cell in enumerate(cells) if cell.network.trainings), len(cells))
    efforts = cell_efforts(cells, data, setup.config)
    items = [
        replace(cell_item(number, cell, setup, data, failures), efforts={number: efforts[number]})
        for number, cell in enumerate(cells)
    ]
    before = [item for item in items if item.keys[0] < first]
    train = training_items(trainings, setup.runs, setup.device, failures, processes) if trainings else []
    return before, train, items[len(before) :]


def cell_item(number: int, cell: Cell, setup: Setup, data, failures: Mapping[str, str]) -> Item:
    """The record of a cell, to be made once its trainings have ended; the item's key is its number.

    data: see `evaluate_cell`.
    """
    trainings, runs = cell.network.trainings, setup.runs

    def finish() -> Record:
        reasons = [why for training in trainings if (why := why_failed(training, runs, failures))]
        if reasons:
            return blank(cell, setup, status=f"failed: {reasons[0]}")
        return evaluate_cell(cell, TASKS[cell.task], setup, data)

    return Item(
        (number,),
        finish,
        {} if cell.cost_only else {cell_folder(cell, runs) / "lock": f"evaluating {cell.label} seed {cell.seed}"},
        ready=lambda: ended(trainings, runs, failures),
        may_fail=False,
    )


def evaluate_cell(cell: Cell, task: Task, setup: Setup, data) -> Record:
    """The cell's record. That of an evaluation is kept in the cell's folder: nothing is evaluated twice.

    data: what the task opens of the cell's dataset. Only one process at a time may do this.
    Why an evaluation fails is the record's status; a mistake of the user's (USER_ERRORS) is raised, unless it is
    one in code of his own.
    """
    config, runs, device = setup.config, setup.runs, setup.device
    costs = task.costs(bool(config.ablation.get("growth"))) if config.measure else []
    try:
        if cell.cost_only:
            record = blank(cell, setup)
        else:
            before = stored(cell, runs)
            record = before or _evaluated(cell, task, setup, data)
            drawn: dict[str, Any] = task.draw(data, cell_folder(cell, runs), config)
            record = replace(record, **drawn)
        if costs:
            found: dict[str, Any] = full_size(cell.network, runs, device, costs)
            own = {field for field in busy_fields(vars(record)) if not field.endswith("_full")}
            record = replace(record, **(found | named_busy(own | busy_fields(found))))
        if not cell.cost_only:
            record = _with_held_out(record, cell, setup)
            if record != before:  # a disk that is only read still shows what is finished
                write_json(cell_folder(cell, runs) / "record.json", asdict(record))
        return record
    except outside.FOREIGN as error:  # out of memory, say: the others may go on
        return blank(cell, setup, status=f"failed: {_reason(error, cell, runs)}")


def _reason(error: BaseException, cell: Cell, runs: Path) -> str:
    """Why a cell failed, in a line. Of the suite's methods only what memory and numbers do may fail a cell.

    Others' code may raise anything but what is about data and disks; the traceback goes to the cell's folder.
    """
    method = cell.network.method
    if isinstance(error, NotFinite):
        return str(error)
    if not methods.entry(method).others:
        lost = isinstance(error, MethodError) and cell.network.trainings  # weights that hold no numbers any more
        if not lost and not isinstance(error, RuntimeError | MemoryError):
            raise error
        return str(error) if lost else describe_error(error)
    if isinstance(error, USER_ERRORS) and not isinstance(error, ConfigError | MethodError):
        raise error
    text = "".join(traceback.format_exception(error))
    write_text(cell_folder(cell, runs) / "traceback.txt", text)
    return str(error) if isinstance(error, ConfigError) else outside.describe_failure(error, method)


def _evaluated(cell: Cell, task: Task, setup: Setup, data) -> Record:
    runs, device, training = setup.runs, setup.device, cell.network.training
    folder = cell_folder(cell, runs)
    drop_unfinished(folder)
    method = build(cell.network, runs, device)
    params = method_parameters(method)
    taught = training.teacher if training else None
    teacher = partial(build, taught, runs, device) if taught else lambda: None
    evaluated, load = Quiet(1).watched(lambda: task.evaluate(cell, method, teacher, data, folder, device))
    busy = {field for field in ("fps", "latency_ms_median") if load.busy and evaluated.get(field)}
    record = replace(
        blank(cell, setup),
        **describe(cell.network, runs),
        **evaluated,
        **named_busy(busy),
        **cast(dict[str, Any], describe_sampling(cell.network, folder, runs, device)),
        params_m=None if params is None else params / 1e6,
    )
    # Loss parts, learning rate and step along the last stage of its training.
    if training and (curve := read_file(trained_folder(training, runs) / "weights.pt")["curve"]):
        write_json(folder / "curve.json", curve)
        shares = json.dumps(typical_shares(curve))
        record = replace(record, curve=str(folder / "curve.json"), loss_shares=shares)
    return record


def _with_held_out(record: Record, cell: Cell, setup: Setup) -> Record:
    """The record with the score on held-out training data, where the ablation shows by what its rows are chosen.

    All rows see the same clips, whatever their own are made like.
    """
    training = cell.network.training
    if not setup.config.ablation.get("held_out") or training is None or record.jf_held_out is not None:
        return record
    synthesis = OmegaConf.to_container(setup.config.training.get("synthesis") or OmegaConf.create({}))
    data = {**training.data, "synthesis": synthesis} if "synthesis" in training.data else training.data
    method = build(cell.network, setup.runs, setup.device)
    return replace(record, jf_held_out=100 * held_out_score(method, replace(training, data=data), setup.device))
