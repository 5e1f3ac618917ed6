"""How every row was trained: how fast, and how far, its losses fall, and its learning rate."""

import json
import math
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
    SMALL,
    legend_below,
    legend_height,
    log_if_wide,
    marks,
    readable,
    save,
    theme,
)
from reports.files import located
from reports.rows import group_rows, succeeded

SMOOTHED = 0.05  # of a training: what the moving average spans
MARKERS_PER_LINE = 8
COLUMNS = 2
WIDTH = 4.6  # inches of a panel
TOTAL = "total"
RATE, RATE_LABEL = "lr", "learning rate"
NO_LOSSES = {RATE, TOTAL}
HELD_OUT = "held_out_"  # begins what is measured along a training and is no loss


@dataclass(frozen=True)
class Curve:
    """float64 (points,) each: a loss of one row at these steps, smoothed, over its seeds."""

    steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def over(self, unit: float) -> "Curve":
        return Curve(self.steps, self.mean / unit, self.low / unit, self.high / unit)


def convergence_chart(records: list[Record], folder: Path) -> list[Path]:
    """Every loss that several labels are trained by, and their total, against the step; a line per label.

    A line is the mean over the seeds of a moving average, its band spans the seeds. Losses are divided by what
    the line begins with, which makes those of different kinds comparable (Figure 4 of arXiv 2401.13937 sets CKA
    beside KL); where a line begins at 0 or below, they are shown as they are. Writes convergence.png and
    convergence.pdf; nothing, and returns [], when no successful cell has a training curve.
    """
    return _chart(records, folder, "convergence", relative=True)


def training_chart(records: list[Record], folder: Path) -> list[Path]:
    """Every loss of every label, their total and the learning rate, as they were; lines as in `convergence_chart`.

    Writes training.png and training.pdf; nothing, and returns [], when no successful cell has a training curve.
    """
    return _chart(records, folder, "training", relative=False)


def _chart(records: list[Record], folder: Path, file: str, relative: bool) -> list[Path]:
    cells = group_rows(records)
    seeds = {name: _read_seeds(row, Path(folder)) for name, row in cells.items()}
    trained = {name: found for name, found in seeds.items() if found}
    shown = _shared_losses(trained) if relative else _everything(trained)
    panels = {loss: curves for loss in shown if (curves := _curves(trained, loss))}
    if not panels:
        return []
    # By their place among all rows: a row has one colour in all figures.
    styles = dict(zip(cells, marks(len(cells)), strict=True))
    columns = min(len(panels), COLUMNS)
    rows = math.ceil(len(panels) / columns)
    names = [name for name in trained if any(name in curves for curves in panels.values())]
    with theme():
        height = 0.4 + 2.6 * rows + legend_height(names, WIDTH * columns)
        figure = Figure(figsize=(WIDTH * columns, height), layout="constrained")
        lines: dict[str, Line2D] = {}
        for place, (loss, curves) in enumerate(panels.items(), start=1):
            over_start = relative and all(curve.mean[0] > 0 for curve in curves.values())
            label = _label(loss) + " / its start" * over_start
            drawn = (
                {name: curve.over(curve.mean[0]) for name, curve in curves.items()} if over_start else curves
            )
            lines |= _draw(figure.add_subplot(rows, columns, place), label, drawn, styles)
        figure.suptitle(_explained(list(trained.values())), fontsize=SMALL, color=FAINT)
        legend_below(figure, {name: lines[name] for name in names})
        return save(figure, folder, file)


def _read_seeds(cells: list[Record], folder: Path) -> list[pd.DataFrame]:
    """The smoothed losses, by step, of each seed that has a readable curve."""
    paths = [path for cell in succeeded(cells) if (path := located(cell.curve, folder))]
    return [points for path in paths if (points := _read(path)) is not None]


def _read(path: Path) -> pd.DataFrame | None:
    try:
        points = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))).set_index("step").astype(float)
    except (ValueError, KeyError, TypeError):
        return None  # a damaged curve is no reason to lose the others
    points = points[[name for name in points if not name.startswith(HELD_OUT)]].dropna(how="all")
    points = points[~points.index.duplicated(keep="last")]  # a training that was resumed repeats steps
    window = max(1, round(SMOOTHED * len(points)))
    return points.rolling(window, center=True, min_periods=1).mean()


def _shared_losses(rows: dict[str, list[pd.DataFrame]]) -> list[str]:
    """The losses that two or more rows have, in order of first appearance, and the total."""
    names = [set().union(*(seed.columns for seed in seeds)) for seeds in rows.values()]
    order = dict.fromkeys(name for seeds in rows.values() for seed in seeds for name in seed.columns)
    shared = [loss for loss in order if loss not in NO_LOSSES and sum(loss in row for row in names) > 1]
    return [*shared, TOTAL]


def _everything(rows: dict[str, list[pd.DataFrame]]) -> list[str]:
    """All losses in order of first appearance, the total and the learning rate."""
    order = dict.fromkeys(name for seeds in rows.values() for seed in seeds for name in seed.columns)
    return [*(name for name in order if name not in NO_LOSSES), TOTAL, RATE]


def _curves(rows: dict[str, list[pd.DataFrame]], loss: str) -> dict[str, Curve]:
    """The rows that have this loss, at the steps that their seeds share."""
    found = {}
    for name, seeds in rows.items():
        values = [seed[loss] for seed in seeds if loss in seed]
        shared = pd.concat(values, axis=1, join="inner").dropna() if values else pd.DataFrame()
        if len(shared):
            columns = (shared.index, shared.mean(axis=1), shared.min(axis=1), shared.max(axis=1))
            found[name] = Curve(*(np.asarray(column, float) for column in columns))
    return found


def _label(loss: str) -> str:
    if loss in NO_LOSSES:
        return RATE_LABEL if loss == RATE else loss
    return f"{readable(loss)} loss"


def _explained(rows: list[list[pd.DataFrame]]) -> str:
    lines = f"smoothed (moving average over {100 * SMOOTHED:g} % of the training)"
    if all(len(seeds) == 1 for seeds in rows):
        return f"lines: {lines}"
    return f"lines: means over the seeds, {lines}; bands: lowest to highest seed"


def _draw(axis: Axes, label: str, curves: dict[str, Curve], styles: dict[str, tuple]) -> dict[str, Line2D]:
    """Draw a panel; returns the line of each label."""
    lines = {}
    for name, shown in curves.items():
        colour, marker = styles[name]
        every = max(1, len(shown.steps) // MARKERS_PER_LINE)
        (lines[name],) = axis.plot(
            shown.steps,
            shown.mean,
            color=colour,
            marker=marker,
            markevery=every,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.5,
            linewidth=1.5,
        )
        axis.fill_between(shown.steps, shown.low, shown.high, color=colour, alpha=0.15, linewidth=0)
    values = np.concatenate([line.get_ydata() for line in lines.values()])
    log = label != RATE_LABEL and log_if_wide(axis, "y", values)
    axis.set_ylabel(label + "\n(log scale)" * log)
    axis.set_xlabel("training step")
    return lines
