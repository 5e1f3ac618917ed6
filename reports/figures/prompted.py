"""Networks that answer prompts: agreement with their teacher along the training, and by the prompts' distance."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import Record
from reports.figures import figure
from reports.figures.style import SMALL, draw_line, explain_all, log_if_wide, looks, panels, wrapped
from reports.prompted import miou_by_distance, published_distances
from reports.rows import group_rows, located, succeeded

PANELS = {"held_out_miou": "mIoU with the teacher's masks (%)", "held_out_mse": "MSE of the image embedding"}


@figure("learning", "mIoU with the teacher's masks and MSE on held-out images along the training")
def learning_chart(records: list[Record], folder: Path) -> Figure | None:
    """A line per label, the mean over its seeds; None when no successful student has such a curve."""
    cells = {name: row for name, row in group_rows(records).items() if any(cell.miou is not None for cell in row)}
    curves = {name: curve for name, row in cells.items() if len((curve := _curve(row, folder)).columns)}
    keys = [key for key in PANELS if any(key in curve for curve in curves.values())]
    if not keys:
        return None
    styles, lines = looks(cells), dict[str, Line2D]()
    drawn, axes = panels(len(keys), 4.8, 3.6, len(keys), curves)
    for axis, key in zip(axes, keys, strict=True):
        shown = {name: curve[key].dropna() for name, curve in curves.items() if key in curve}
        lines |= {name: draw_line(axis, line, styles[name]) for name, line in shown.items()}
        log = key == "held_out_mse" and log_if_wide(axis, "y", np.concatenate(list(shown.values())))
        axis.set(xlabel="training step", ylabel=PANELS[key] + "\n(log scale)" * log)
    explain_all(drawn, "on images held out of the training data", lines)
    return drawn


@figure("distances", "mIoU with the teacher's masks by the distance of a background point; dashed: published")
def distance_chart(records: list[Record], folder: Path) -> Figure | None:
    """As in Table 7 of MobileSAM; None when no successful cell has such figures."""
    cells = group_rows(records)
    found = {name: line for name, row in cells.items() if len(line := miou_by_distance(row))}
    if not found:
        return None
    styles = looks(found)
    drawn, (axis,) = panels(1, 7.6, 4.2)
    for name, line in found.items():
        draw_line(axis, line, styles[name], label=wrapped(name))
    for (name, shown), style in zip(published_distances().items(), (":", "--"), strict=False):
        axis.plot(shown, style, color="0.4", label=f"{name} (published)")
    axis.set_xlabel("distance of the background point (pixels of an input of 1024)")
    axis.set_ylabel("mIoU with the teacher's masks (%)")
    axis.legend(fontsize=SMALL, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def _curve(cells: list[Record], folder: Path) -> pd.DataFrame:
    """The held-out figures by step, means over the seeds, without those that nobody has; mIoU in percent."""
    paths = filter(None, (located(cell.curve, folder) for cell in succeeded(cells)))
    curves = [pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    seeds = [curve.groupby("step").last().reindex(columns=list(PANELS)) for curve in curves if len(curve)]
    if not seeds:
        return pd.DataFrame()
    mean = pd.concat(seeds).groupby(level=0).mean()
    return mean.assign(held_out_miou=100 * mean["held_out_miou"]).dropna(axis=1, how="all")
