"""J&F against what a network costs."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures.style import INCHES_PER_ROW, SMALL, explain, log_if_wide, marks, save, theme, wrapped
from reports.rows import aggregate


@dataclass(frozen=True)
class Cost:
    """A cost of the full-size network: the field of a record, and how an axis names it."""

    field: str
    name: str
    unit: str = ""


GMACS = Cost("gmacs_full", "GMACs")
FOOTPRINT = Cost("memory_mb_peak_full", "memory footprint", "MiB")


def footprint_chart(records: list[Record], folder: Path) -> list[Path]:
    """J&F of every label against the peak memory of a frame, as in Figure 3 of arXiv 2401.13937.

    Writes footprint.png and footprint.pdf; nothing, and returns [], unless two scored labels differ in memory.
    """
    rows = aggregate(records)
    costed = costed_rows(rows, FOOTPRINT)
    if costed.empty:
        return []
    with theme():
        figure = Figure(figsize=(6.4, 1.4 + INCHES_PER_ROW * max(len(costed), 6)), layout="constrained")
        draw_cost(
            figure.subplots(), costed, FOOTPRINT, dict(zip(rows["label"], marks(len(rows)), strict=True))
        )
        return save(figure, folder, "footprint")


def costed_rows(rows: pd.DataFrame, cost: Cost) -> pd.DataFrame:
    """The rows of `aggregate` that have a J&F and this cost; none when one cost tells nothing apart."""
    costed = rows.dropna(subset=["jf_mean", cost.field])
    return costed if costed[cost.field].nunique() > 1 else costed.iloc[:0]


def draw_cost(axis: Axes, rows: pd.DataFrame, cost: Cost, styles: dict[str, tuple]) -> None:
    """A mark per row, named at the right; styles: label -> (colour, marker)."""
    handles = []
    for label, x, y in zip(rows["label"], rows[cost.field], rows["jf_mean"], strict=True):
        colour, marker = styles[label]
        handles += axis.plot(x, y, marker, color=colour, markersize=8)
    log_if_wide(axis, "x", rows[cost.field])
    explain(axis, f"{cost.name}: full-size network, 480x864, one object")
    axis.set_xlabel(f"{cost.name} ({cost.unit})" if cost.unit else cost.name)
    axis.set_ylabel("J&F of the trained network (%)")
    axis.legend(
        handles,
        [wrapped(name) for name in rows["label"]],
        fontsize=SMALL,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
