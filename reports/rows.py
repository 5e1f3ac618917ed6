"""From cells to the rows of a table: the raw numbers, one row per label."""

import json
import math
from statistics import fmean, median, stdev

import pandas as pd

from bench.record import Record

SEEN = ("j_seen", "f_seen", "j_unseen", "f_unseen")  # YouTube-VOS alone
SCORES = ("jf_mean", "j_mean", "j_recall", "j_decay", "f_mean", "f_recall", "f_decay", *SEEN, "jf_held_out")
COSTS = (
    "params_m",
    "params_m_full",
    "gmacs_full",
    "gmacs_fvcore_full",
    "gmacs_thop_full",
    "latency_ms_median",
    "latency_ms_median_full",
    "memory_mb_peak_full",
    "fps",
)
TEXTS = {  # columns set flush left
    "Method", "Variant", "Setting", "Weights averaged", "Initialisation", "Dataset", "Device", "Source",
    "Result", "Title", "Commit",
}  # fmt: skip
SETTINGS = (
    "method",
    "recipe",
    "dataset",
    "scale",
    "initialisation",
    "soup",
    "resolution",
    "device",
    "precision",
)


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


def distinct(records: list[Record], field: str) -> str:
    """The different values of a field, joined by commas; empty ones are left out."""
    return ", ".join(dict.fromkeys(str(value) for record in records if (value := getattr(record, field))))


def aggregate(records: list[Record]) -> pd.DataFrame:
    """Raw numbers, one row per label.

    `cells` counts all seeds and `n` those that succeeded; scores are their mean (percent) with `<score>_std`,
    the sample standard deviation (NaN below two seeds); costs are the median of the seeds, in the units of
    `Record`. `status` is "ok" or "seed <seed>: <status>; ...". Not measured: NaN.
    """
    return pd.DataFrame([_row(name, cells) for name, cells in group_rows(records).items()])


def _row(name: str, cells: list[Record]) -> dict:
    done = succeeded(cells)
    failures = [f"seed {cell.seed}: {cell.status}" for cell in cells if cell.status != "ok"]
    row = {"label": name, **{field: distinct(done or cells, field) for field in SETTINGS}}
    row |= {"sequences": distinct(done, "sequences"), "objects": distinct(done, "objects")}
    row |= {"cells": len(cells), "n": len(done), "status": " ".join("; ".join(failures).split()) or "ok"}
    for field in SCORES:
        row[field], row[f"{field}_std"] = mean_and_deviation(values(done, field))
    for field in COSTS:
        found = values(cells, field)
        row[field] = median(found) if found else math.nan
    return row


def by_sequence(records: list[Record]) -> pd.DataFrame:
    """J&F in percent, a row per label and a column per sequence: the mean over the seeds that succeeded."""
    rows = {
        name: pd.DataFrame(
            [json.loads(cell.per_sequence) for cell in succeeded(cells) if cell.per_sequence]
        ).mean()
        for name, cells in group_rows(records).items()
    }
    return pd.DataFrame(rows).T.rename_axis("label")


def values(records: list[Record], field: str) -> list[float]:
    """What there is of a field."""
    found = (getattr(record, field) for record in records)
    return [value for value in found if value is not None and not math.isnan(value)]


def mean_and_deviation(numbers: list[float]) -> tuple[float, float]:
    """The mean and the sample standard deviation; NaN where there is none."""
    mean = fmean(numbers) if numbers else math.nan
    return mean, stdev(numbers) if len(numbers) > 1 else math.nan
