"""J and F along a sequence: where the objects are lost, and whether they are found again."""

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import Record
from reports.figures.style import FAINT, SMALL, legend_below, legend_height, marks, save, theme
from reports.files import file_name, located
from reports.rows import group_rows, pictured, succeeded

MEASURES = ("J", "F")
MARKERS_PER_LINE = 6


def over_time_charts(records: list[Record], folder: Path) -> list[Path]:
    """J and F of every judged frame of each pictured sequence, a line per label.

    A line is the mean over objects and seeds, its band spans the seeds. Writes over_time_<sequence>.png and .pdf
    for the sequences that `Record.pictures` names; nothing, and returns [], when no frame scores are there.
    """
    rows = group_rows(records)
    styles = dict(zip(rows, marks(len(rows)), strict=True))
    paths = []
    for sequence in pictured(records):
        lines = {name: found for name, cells in rows.items() if (found := _seeds(cells, sequence, folder))}
        if lines:
            paths += _chart(sequence, lines, styles, folder)
    return paths


def _chart(sequence: str, rows: dict[str, list[np.ndarray]], styles: dict, folder: Path) -> list[Path]:
    with theme():
        figure = Figure(figsize=(7.2, 4.8 + legend_height(list(rows), 7.2)), layout="constrained")
        axes = figure.subplots(len(MEASURES), 1, sharex=True)
        lines: dict[str, Line2D] = {}
        for place, (axis, measure) in enumerate(zip(axes, MEASURES, strict=True)):
            for name, seeds in rows.items():
                colour, marker = styles[name]
                values = np.stack([seed[place] for seed in seeds])
                frames = 1 + np.arange(values.shape[1])
                (lines[name],) = axis.plot(
                    frames,
                    values.mean(axis=0),
                    color=colour,
                    marker=marker,
                    markevery=max(1, len(frames) // MARKERS_PER_LINE),
                    markersize=5,
                    markeredgecolor="white",
                    markeredgewidth=0.5,
                    linewidth=1.5,
                )
                ends = values.min(axis=0), values.max(axis=0)
                axis.fill_between(frames, *ends, color=colour, alpha=0.12, linewidth=0)
            axis.set_ylabel(f"{measure} (%)")
            axis.set_ylim(-2, 102)
        axes[-1].set_xlabel("judged frame")
        several = any(len(seeds) > 1 for seeds in rows.values())
        bands = "; lines: means over the seeds, bands: lowest to highest seed" if several else ""
        figure.suptitle(f"{sequence}, mean over its objects{bands}", fontsize=SMALL, color=FAINT)
        legend_below(figure, lines)
        return save(figure, folder, f"over_time_{file_name(sequence)}")


def _seeds(cells: list[Record], sequence: str, folder: Path) -> list[np.ndarray]:
    """float64 (2, frames) J and F in percent of each seed that has them, means over the objects."""
    paths = [located(f"{c.frame_scores}/{sequence}.json", folder) for c in succeeded(cells) if c.frame_scores]
    found = [scores for path in paths if path and (scores := _read(path)) is not None]
    return [scores for scores in found if scores.shape == found[0].shape]


def _read(path: Path) -> np.ndarray | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        values = [
            np.array(content[key], float) for key in ("j", "f")
        ]  # null, where nothing is judged, is NaN
    except (ValueError, KeyError, TypeError):
        return None  # damaged scores are no reason to lose the others
    if any(value.size == 0 or np.isnan(value).all(axis=1).any() for value in values):
        return None
    return 100 * np.stack([np.nanmean(value, axis=1) for value in values])
