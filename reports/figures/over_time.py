"""J and F along a sequence: where the objects are lost, and whether they are found again."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import Record
from reports.figures import figure
from reports.figures.style import Mark, draw_line, explain_all, looks, panels
from reports.files import located
from reports.rows import group_rows, pictured, succeeded

MEASURES = ("J", "F")


@figure("over_time_*", "J and F of every judged frame: where objects are lost, and found again")
def over_time_charts(records: list[Record], folder: Path) -> dict[str, Figure]:
    """Of each pictured sequence (`Record.pictures`) that has frame scores, a line per label.

    A line is the mean over objects and seeds, its band spans the seeds.
    """
    rows, figures = group_rows(records), {}
    for sequence in pictured(records):
        lines = {name: found for name, cells in rows.items() if (found := _seeds(cells, sequence, folder))}
        if lines:
            figures[sequence] = _chart(sequence, lines, looks(rows))
    return figures


def _chart(sequence: str, rows: dict[str, list[np.ndarray]], styles: dict[str, Mark]) -> Figure:
    drawn, axes = panels(len(MEASURES), 7.2, 2.4, names=rows)
    lines: dict[str, Line2D] = {}
    for place, (axis, measure) in enumerate(zip(axes, MEASURES, strict=True)):
        for name, seeds in rows.items():
            values = np.stack([seed[place] for seed in seeds])
            ends = values.min(axis=0), values.max(axis=0)
            frames = 1 + np.arange(values.shape[1])
            lines[name] = draw_line(axis, frames, values.mean(axis=0), styles[name], *ends)
        axis.set(ylabel=f"{measure} (%)", ylim=(-2, 102))
    axes[-1].set_xlabel("judged frame")
    several = any(len(seeds) > 1 for seeds in rows.values())
    bands = "; lines: means over the seeds, bands: lowest to highest seed" if several else ""
    explain_all(drawn, f"{sequence}, mean over its objects{bands}", lines)
    return drawn


def _seeds(cells: list[Record], sequence: str, folder: Path) -> list[np.ndarray]:
    """float64 (2, frames) J and F in percent of each seed that has them, means over the objects."""
    paths = [located(f"{c.frame_scores}/{sequence}.json", folder) for c in succeeded(cells) if c.frame_scores]
    found = [scores for path in paths if path and (scores := _read(path)) is not None]
    return [scores for scores in found if scores.shape == found[0].shape]


def _read(path: Path) -> np.ndarray | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        values = [np.array(content[key], float) for key in ("j", "f")]  # null: nothing was judged
    except (ValueError, KeyError, TypeError):
        return None  # damaged scores are no reason to lose the others
    if any(value.size == 0 or np.isnan(value).all(axis=1).any() for value in values):
        return None
    return 100 * np.stack([np.nanmean(value, axis=1) for value in values])
