"""From cells to the rows of a table: the raw numbers, one row per label."""

import json
import math
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import pandas as pd

from bench.record import COLUMNS, Column, Record, columns, value
from reports.texts import three_digits


def group_rows(records: list[Record]) -> dict[str, list[Record]]:
    """Cells of each row, in order of first appearance; the row is the label, with the dataset if there are
    several (scores on different data must not be averaged)."""
    several = len({record.dataset for record in records}) > 1
    rows: dict[str, list[Record]] = {}
    for record in records:
        name = f"{record.label} ({record.dataset})" if several else record.label
        rows.setdefault(name, []).append(record)
    return rows


def succeeded(records: list[Record]) -> list[Record]:
    return [record for record in records if record.status == "ok"]


def pictured(records: list[Record]) -> list[str]:
    """The sequences of which any record has pictures, in order of first appearance."""
    return list(dict.fromkeys(name for r in records if r.pictures for name in json.loads(r.pictures)))


def located(name: str, folder: Path) -> Path | None:
    """What a record names: a relative file or folder is looked up in `folder`, then in the working directory."""
    places = [Path(folder) / name, Path(name)] if name else []
    return next((path for path in places if path.exists()), None)


def distinct(records: list[Record], field: str) -> str:
    """The different values of a field, joined by commas; empty ones are left out."""
    return ", ".join(dict.fromkeys(str(value) for record in records if (value := getattr(record, field))))


def main_score(records: list[Record]) -> Column:
    """What rows are compared by: J&F, or mIoU where networks answered prompts."""
    prompted = any(record.miou_truth is not None or record.miou is not None for record in records)
    return next(column for column in COLUMNS if column.name == ("miou" if prompted else "jf_mean"))


def aggregate(records: list[Record]) -> pd.DataFrame:
    """Raw numbers, one row per label.

    `cells` counts all seeds and `n` those that succeeded; scores are their mean (percent) with `<score>_std`,
    the sample standard deviation (NaN below two seeds); costs are the median of the seeds, in the units of
    `Record`. `status` is "ok" or "seed <seed>: <status>; ...". Not measured: NaN.
    """
    shown = columns(records)
    return pd.DataFrame([_row(name, cells, shown) for name, cells in group_rows(records).items()])


def _row(name: str, cells: list[Record], shown: list[Column]) -> dict[str, Any]:
    done = succeeded(cells)
    failures = [f"seed {cell.seed}: {cell.status}" for cell in cells if cell.status != "ok"]
    row: dict[str, Any] = {"label": name}
    row |= {c.name: distinct(done or cells, c.name) for c in shown if c.group == "setting"}
    row |= {"sequences": distinct(done, "sequences"), "objects": distinct(done, "objects")}
    row |= {"cells": len(cells), "n": len(done), "status": " ".join("; ".join(failures).split()) or "ok"}
    row["busy"] = ", ".join(sorted(busy(cells)))
    for column in shown:
        if column.group == "score":
            found = values(done, column.name)
            row[column.name] = fmean(found) if found else math.nan
            row[f"{column.name}_std"] = stdev(found) if len(found) > 1 else math.nan
        elif column.group == "stages":  # the median of each part of a cost, in the order of the first
            parts = [json.loads(text) for cell in done if (text := value(cell, column.name))]
            medians = [three_digits(median(each[part] for each in parts)) for part in (parts or [{}])[0]]
            row[column.name] = " + ".join(medians)
        elif column.group != "setting":
            found = [cost for cost in values(cells, column.name) if cost or column.group == "cost"]
            row[column.name] = median(found) if found else math.nan
    return row


def by_sequence(records: list[Record]) -> pd.DataFrame:
    """J&F in percent, a row per label and a column per sequence: the mean over the seeds that succeeded."""
    rows = {
        name: pd.DataFrame([json.loads(cell.per_sequence) for cell in succeeded(cells) if cell.per_sequence]).mean()
        for name, cells in group_rows(records).items()
    }
    return pd.DataFrame(rows).T.rename_axis("label")


def busy(records: list[Record]) -> set[str]:
    """Names of the fields that were measured in any of these while others were at work."""
    return {name for record in records for name in json.loads(record.busy or "[]")}


def values(records: list[Record], name: str) -> list[float]:
    """What there is of a field or a metric."""
    found = (value(record, name) for record in records)
    return [number for number in found if number is not None and not math.isnan(number)]
