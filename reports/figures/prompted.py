"""Networks that answer prompts: agreement with their teacher along the training, and by the prompts' distance."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures.convergence import convergence_chart
from reports.figures.style import SMALL, explain, log_if_wide, marks, save, theme, wrapped
from reports.files import located
from reports.prompted import miou_by_distance, published_distances
from reports.rows import group_rows, succeeded

PANELS = {"held_out_miou": "mIoU with the teacher's masks (%)", "held_out_mse": "MSE of the image embedding"}


def prompted_charts(records: list[Record], folder: Path) -> list[Path]:
    """Every plot that these records hold enough for; returns the paths of the files."""
    charts = (learning_chart, distance_chart, convergence_chart)
    return [path for chart in charts for path in chart(records, folder)]


def learning_chart(records: list[Record], folder: Path) -> list[Path]:
    """mIoU with the teacher's masks, and MSE of the embedding, on held-out images against the training step.

    A line per label, the mean over its seeds. Writes learning.png and learning.pdf; nothing, and returns [], when
    no successful student has such a curve.
    """
    cells = {
        name: row for name, row in group_rows(records).items() if any(cell.miou is not None for cell in row)
    }
    curves = {name: curve for name, row in cells.items() if (curve := _curve(row, Path(folder))) is not None}
    panels = [key for key in PANELS if any(key in curve for curve in curves.values())]
    if not panels:
        return []
    styles = dict(zip(cells, marks(len(cells)), strict=True))
    with theme():
        figure = Figure(figsize=(4.8 * len(panels), 4.6), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, key in zip(axes, panels, strict=True):
            shown = {name: curve[key].dropna() for name, curve in curves.items() if key in curve}
            for name, line in shown.items():
                colour, marker = styles[name]
                axis.plot(line.index, line, marker=marker, color=colour, label=wrapped(name), markersize=5)
            log = key == "held_out_mse" and log_if_wide(axis, "y", np.concatenate(list(shown.values())))
            axis.set_ylabel(PANELS[key] + "\n(log scale)" * log)
            axis.set_xlabel("training step")
        explain(axes[0], "on images held out of the training data")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
        return save(figure, folder, "learning")


def distance_chart(records: list[Record], folder: Path) -> list[Path]:
    """mIoU with the teacher's masks against the distance of a background point (MobileSAM, Table 7).

    Measured rows are lines, published ones dashed. Writes distances.png and distances.pdf; nothing, and returns [],
    when no successful cell has such figures.
    """
    cells = group_rows(records)
    found = {name: line for name, row in cells.items() if (line := miou_by_distance(row)) is not None}
    if not found:
        return []
    styles = dict(zip(found, marks(len(found)), strict=True))
    with theme():
        figure = Figure(figsize=(7.6, 4.2), layout="constrained")
        axis = figure.subplots()
        for name, line in found.items():
            colour, marker = styles[name]
            axis.plot(line.index, line, marker=marker, color=colour, label=wrapped(name), markersize=5)
        _draw_published(axis)
        axis.set_xlabel("distance of the background point (pixels of an input of 1024)")
        axis.set_ylabel("mIoU with the teacher's masks (%)")
        axis.legend(fontsize=SMALL, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        return save(figure, folder, "distances")


def _draw_published(axis: Axes) -> None:
    for (name, shown), style in zip(published_distances().items(), (":", "--"), strict=False):
        axis.plot(list(shown), list(shown.values()), style, color="0.4", label=f"{name} (published)")


def _curve(cells: list[Record], folder: Path) -> pd.DataFrame | None:
    """The held-out figures by step, means over the seeds; mIoU in percent."""
    found = []
    for cell in succeeded(cells):
        path = located(cell.curve, folder)
        points = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))) if path else pd.DataFrame()
        keys = [key for key in PANELS if key in points]
        if keys:
            found.append(points.dropna(subset=keys, how="all").groupby("step")[keys].last())
    if not found:
        return None
    mean = pd.concat(found).groupby(level=0).mean()
    return mean.assign(held_out_miou=100 * mean["held_out_miou"]) if "held_out_miou" in mean else mean
