"""Where a cell keeps its record, and a record without results."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from bench.plan.ablation import varied_losses
from bench.plan.cells import Cell, name_for_files
from bench.record import Record, to_record
from bench.score.pictures import is_picture
from bench.system.environment import describe_environment, pick_device
from bench.system.files import read_json
from methods import outside


@dataclass(frozen=True)
class Setup:
    """Where cells are trained and evaluated, and with what settings.

    facts: the fields of a record that say on what it was made (bench.system.environment.describe_environment).
    """

    config: DictConfig
    runs: Path
    device: str
    facts: dict[str, Any]


def here(config: DictConfig, runs: Path) -> Setup:
    """This process, on the device that the configuration wants. Raises ConfigError when it is not there."""
    device = pick_device(config.device)
    return Setup(config, runs, device, describe_environment(device))


def cell_folder(cell: Cell, runs: Path) -> Path:
    """Where a cell keeps its masks, scores and record."""
    name = name_for_files(cell.network.method)
    return runs / "cells" / f"{name}-{cell.dataset['name']}-s{cell.seed}-{cell.key}"


def stored(cell: Cell, runs: Path) -> Record | None:
    """The record that the cell's folder keeps; None unless it and the files that it names are whole.

    One of an older version, which lacks a field, is not: what it lacks has to be evaluated.
    """
    folder = cell_folder(cell, runs)
    values = read_json(folder / "record.json", Record) or {}
    if not {field.name for field in fields(Record)} <= values.keys():
        return None
    record = to_record(values)
    whole = read_json(folder / "scores.json", dict) is not None
    whole &= not record.curve or read_json(folder / "curve.json", list) is not None
    whole &= not record.sampling_picture or is_picture(folder / Path(record.sampling_picture).name)
    return named_after(record, cell) if whole else None


def named_after(record: Record, cell: Cell) -> Record:
    """A record as that of another cell with the same content."""
    return replace(record, **_of_row(cell))


def blank(cell: Cell, setup: Setup, status: str = "ok") -> Record:
    """A record without results."""
    return Record(
        **_of_row(cell),
        method=outside.short_name(cell.network.method),
        recipe=cell.recipe_name,
        dataset=cell.dataset["name"],
        seed=cell.seed,
        status=status,
        scale=setup.config.scale.name if cell.network.trainings else "",
        options=json.dumps(cell.network.options, sort_keys=True),
        config_hash=cell.key,
        network=cell.network.key,
        fingerprint=setup.config.fingerprint,
        **setup.facts,
    )


def _of_row(cell: Cell) -> dict[str, Any]:
    """The fields of a record that are of the row of a table, not of what was evaluated."""
    ingredients = json.dumps(cell.ingredients) if cell.ingredients else ""
    return {
        "label": cell.label,
        "varied": json.dumps(cell.varied),
        "varied_losses": json.dumps(varied_losses(cell.varied)),
        "reference": cell.reference,
        "ingredients": ingredients,
    }
