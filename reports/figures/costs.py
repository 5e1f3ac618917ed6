"""J&F against what a network costs, and which rows nothing beats in both."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import Record
from reports.figures.style import (
    FAINT,
    INCHES_PER_ROW,
    SMALL,
    explain,
    legend_below,
    legend_height,
    log_if_wide,
    marks,
    save,
    theme,
    wrapped,
)
from reports.rows import aggregate


@dataclass(frozen=True)
class Cost:
    """A cost of the full-size network: the field of a record, and how an axis names it."""

    field: str
    name: str
    unit: str = ""


COSTS = (
    Cost("latency_ms_median_full", "latency", "ms"),
    Cost("gmacs_full", "GMACs"),
    Cost("params_m_full", "parameters", "M"),
)
FOOTPRINT = Cost("memory_mb_peak_full", "memory footprint", "MiB")
WIDTH = 2.7  # inches of a panel
EXPLAINED = "full-size network, 480x864, one object; line: Pareto front"


def costs_chart(records: list[Record], folder: Path) -> list[Path]:
    """J&F of every label against latency, GMACs and parameters, those that tell labels apart, with Pareto fronts.

    Writes costs.png and costs.pdf; nothing, and returns [], when no cost differs between scored labels.
    """
    rows = aggregate(records)
    panels = {cost: costed for cost in COSTS if not (costed := costed_rows(rows, cost)).empty}
    if not panels:
        return []
    styles = dict(zip(rows["label"], marks(len(rows)), strict=True))
    names = [
        name for name in rows["label"] if any(name in set(costed["label"]) for costed in panels.values())
    ]
    width = max(7.2, WIDTH * len(panels))
    with theme():
        figure = Figure(figsize=(width, 3.1 + legend_height(names, width)), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        lines: dict[str, Line2D] = {}
        for axis, (cost, costed) in zip(axes, panels.items(), strict=True):
            lines |= draw_cost(axis, costed, cost, styles)
            axis.label_outer()
        figure.suptitle(EXPLAINED, fontsize=SMALL, color=FAINT)
        legend_below(figure, {name: lines[name] for name in names})
        return save(figure, folder, "costs")


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
        axis = figure.subplots()
        styles = dict(zip(rows["label"], marks(len(rows)), strict=True))
        lines = draw_cost(axis, costed, FOOTPRINT, styles)
        explain(axis, EXPLAINED)
        names = [wrapped(name) for name in lines]
        place = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        axis.legend(list(lines.values()), names, fontsize=SMALL, frameon=False, **place)
        return save(figure, folder, "footprint")


def costed_rows(rows: pd.DataFrame, cost: Cost) -> pd.DataFrame:
    """The rows of `aggregate` that have a J&F and this cost; none when one cost tells nothing apart."""
    costed = rows.dropna(subset=["jf_mean", cost.field])
    return costed if costed[cost.field].nunique() > 1 else costed.iloc[:0]


def draw_cost(axis: Axes, rows: pd.DataFrame, cost: Cost, styles: dict[str, tuple]) -> dict[str, Line2D]:
    """A mark per row and the Pareto front; styles: label -> (colour, marker). Returns the marks by label."""
    x, y = rows[cost.field].to_numpy(float), rows["jf_mean"].to_numpy(float)
    lines = {}
    for label, *place in zip(rows["label"], x, y, strict=True):
        colour, marker = styles[label]
        (lines[label],) = axis.plot(*place, marker, color=colour, markersize=8, markeredgecolor="white")
    log_if_wide(axis, "x", x)
    front, (_, end) = pareto(x, y), axis.get_xlim()
    line = {"drawstyle": "steps-post", "color": FAINT, "linewidth": 1.2, "zorder": 1}
    axis.plot([*x[front], end], [*y[front], y[front[-1]]], scalex=False, **line)
    axis.set_xlabel(f"{cost.name} ({cost.unit})" if cost.unit else cost.name)
    axis.set_ylabel("J&F of the trained network (%)")
    return lines


def pareto(costs: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices, by increasing cost, of the rows that no other one beats in score at the same cost or less."""
    order = np.lexsort((-scores, costs))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], scores[order][:-1]]))
    return order[scores[order] > best]
