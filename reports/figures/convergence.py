"""How every row was trained: how fast, and how far, its losses fall, and its learning rate."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import Record
from reports.figures import figure
from reports.figures.style import draw_line, explain_all, log_if_wide, looks, panels, readable
from reports.rows import group_rows, located, succeeded

SMOOTHED = 0.05  # of a training: what the moving average spans
TOTAL = "total"
RATE = "lr"
NO_LOSSES = {RATE: "learning rate", TOTAL: TOTAL}
NO_CURVES = ("held_out_", "share_")  # begin what is measured along a training and is no loss


@figure("convergence", "Losses that several rows share, over what they begin with, along the training")
def convergence_chart(records: list[Record], folder: Path) -> Figure | None:
    """Every loss that several labels are trained by, and their total, against the step; a line per label.

    A line is the mean over the seeds of a moving average, its band spans the seeds. Losses are divided by what
    the line begins with, which makes those of different kinds comparable (Figure 4 of arXiv 2401.13937 sets CKA
    beside KL); where a line begins at 0 or below, they are shown as they are. None when no successful cell has a
    training curve.
    """
    return _chart(records, folder, relative=True)


@figure("training", "All losses, their total and the learning rate along the training")
def training_chart(records: list[Record], folder: Path) -> Figure | None:
    """Every loss of every label as it was; lines as in `convergence_chart`."""
    return _chart(records, folder, relative=False)


def _chart(records: list[Record], folder: Path, relative: bool) -> Figure | None:
    cells = group_rows(records)
    read = {name: [_read(located(cell.curve, folder)) for cell in succeeded(row)] for name, row in cells.items()}
    trained = {name: seeds for name, found in read.items() if (seeds := [seed for seed in found if len(seed)])}
    shown = {loss: curves for loss in _losses(trained, relative) if (curves := _curves(trained, loss))}
    if not shown:
        return None
    styles = looks(cells)  # by their place among all rows: a row has one colour in all figures
    names = [name for name in trained if any(name in curves for curves in shown.values())]
    drawn, axes = panels(len(shown), 4.6, 2.6, 2, names)
    lines: dict[str, Line2D] = {}
    for axis, (loss, curves) in zip(axes, shown.items(), strict=True):
        starts = {name: curve["mean"].iloc[0] for name, curve in curves.items()}
        over_start = relative and bool(min(starts.values()) > 0)
        for name, curve in curves.items():
            parts = curve / starts[name] if over_start else curve
            lines[name] = draw_line(axis, parts["mean"], styles[name], parts["min"], parts["max"])
        values = np.concatenate([line.get_ydata() for line in axis.lines])
        log = loss != RATE and log_if_wide(axis, "y", values)
        label = NO_LOSSES.get(loss, f"{readable(loss)} loss") + " / its start" * over_start
        axis.set(xlabel="training step", ylabel=label + "\n(log scale)" * log)
    words = f"smoothed (moving average over {100 * SMOOTHED:g} % of the training)"
    if any(len(found) > 1 for found in trained.values()):
        words = f"means over the seeds, {words}; bands: lowest to highest seed"
    explain_all(drawn, f"lines: {words}", {name: lines[name] for name in names})
    return drawn


def _read(path: Path | None) -> pd.DataFrame:
    """The smoothed losses of a seed, by step; empty when it has no readable curve."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path else ()
        points = pd.DataFrame(content).set_index("step").astype(float)
    except (ValueError, KeyError, TypeError):
        return pd.DataFrame()  # a damaged curve is no reason to lose the others
    points = points.loc[:, ~points.columns.str.startswith(NO_CURVES)].dropna(how="all")
    points = points[~points.index.duplicated(keep="last")]  # a training that was resumed repeats steps
    window = max(1, round(SMOOTHED * len(points)))
    return points.rolling(window, center=True, min_periods=1).mean()


def _losses(rows: dict[str, list[pd.DataFrame]], shared: bool) -> list[str]:
    """The losses in order of first appearance, the total and the learning rate; of shared ones two rows have each,
    and the rate is none."""
    found = Counter(name for seeds in rows.values() for name in dict.fromkeys(n for seed in seeds for n in seed))
    losses = [name for name in found if name not in NO_LOSSES and (found[name] > 1 or not shared)]
    return [*losses, TOTAL] if shared else [*losses, TOTAL, RATE]


def _curves(rows: dict[str, list[pd.DataFrame]], loss: str) -> dict[str, pd.DataFrame]:
    """Mean, lowest and highest seed of the rows that have this loss, at the steps that their seeds share."""
    found = {}
    for name, seeds in rows.items():
        values = [seed[loss] for seed in seeds if loss in seed]
        both = pd.concat(values, axis=1, join="inner").dropna() if values else pd.DataFrame()
        if len(both):
            found[name] = both.T.agg(["mean", "min", "max"]).T
    return found
