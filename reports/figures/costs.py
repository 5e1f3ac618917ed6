"""J&F against what a network costs, and which rows nothing beats in both."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import COLUMNS, Record
from reports.figures import figure
from reports.figures.style import FAINT, explain_all, log_if_wide, looks, panels
from reports.rows import aggregate


@figure("costs", "J&F against latency, GMACs and parameters of the full-size network, with the Pareto front")
def costs_chart(records: list[Record], folder: Path) -> Figure | None:
    """The costs that tell labels apart; None when none differs between scored labels."""
    return _chart(records, "costs")


@figure("footprint", "J&F against peak memory, with the Pareto front")
def footprint_chart(records: list[Record], folder: Path) -> Figure | None:
    """As in Figure 3 of arXiv 2401.13937; None unless two scored labels differ in memory."""
    return _chart(records, "footprint")


def _chart(records: list[Record], name: str) -> Figure | None:
    rows = aggregate(records)
    columns = [column for column in COLUMNS if column.figure == name and len(rows)]
    costed = {cost: rows.dropna(subset=["jf_mean", cost.name]) for cost in columns}
    shown = {cost: found for cost, found in costed.items() if found[cost.name].nunique() > 1}
    if not shown:
        return None
    named = {label for found in shown.values() for label in found["label"]}
    names = [label for label in rows["label"] if label in named]
    drawn, axes = panels(len(shown), max(2.7, 7.2 / len(shown)), 3.1, len(shown), names)
    styles, lines = looks(rows["label"]), dict[str, Line2D]()
    for axis, (cost, found) in zip(axes, shown.items(), strict=True):
        if axis is not axes[0]:
            axis.sharey(axes[0])
        x, y = found[cost.name].to_numpy(float), found["jf_mean"].to_numpy(float)
        for label, *place in zip(found["label"], x, y, strict=True):
            colour, marker = styles[label]
            (lines[label],) = axis.plot(*place, marker, color=colour, markersize=8, markeredgecolor="white")
        log_if_wide(axis, "x", x)
        front, (_, end) = pareto(x, y), axis.get_xlim()
        stairs = [*x[front], end], [*y[front], y[front[-1]]]
        axis.step(*stairs, where="post", color=FAINT, linewidth=1.2, zorder=1, scalex=False)
        axis.set(xlabel=cost.heading(cost.axis), ylabel="J&F of the trained network (%)")
        axis.label_outer()
    words = "full-size network, 480x864, one object; line: Pareto front"
    explain_all(drawn, words, {label: lines[label] for label in names})
    return drawn


def pareto(costs: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices, by increasing cost, of the rows that no other one beats in score at the same cost or less."""
    order = np.lexsort((-scores, costs))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], scores[order][:-1]]))
    return order[scores[order] > best]
