"""J and F along a sequence: where the objects are lost, and whether they are found again."""

import json
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench.record import Record
from reports.figures import figure
from reports.figures.style import Mark, draw_line, explain_all, looks, panels
from reports.rows import group_rows, located, pictured, succeeded


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


def _chart(sequence: str, rows: dict[str, list[pd.DataFrame]], styles: dict[str, Mark]) -> Figure:
    drawn, axes = panels(2, 7.2, 2.4, names=rows)
    lines: dict[str, Line2D] = {}
    for axis, measure in zip(axes, "JF", strict=True):
        for name, seeds in rows.items():
            values = pd.concat([seed[measure] for seed in seeds], axis=1)
            edges = values.min(axis=1), values.max(axis=1)
            lines[name] = draw_line(axis, values.mean(axis=1), styles[name], *edges)
        axis.set(ylabel=f"{measure} (%)", ylim=(-2, 102))
    axes[-1].set_xlabel("judged frame")
    several = any(len(seeds) > 1 for seeds in rows.values())
    bands = "; lines: means over the seeds, bands: lowest to highest seed" if several else ""
    explain_all(drawn, f"{sequence}, mean over its objects{bands}", lines)
    return drawn


def _seeds(cells: list[Record], sequence: str, folder: Path) -> list[pd.DataFrame]:
    """J and F in percent by the frame, means over the objects, of each seed that has them."""
    paths = [located(f"{c.frame_scores}/{sequence}.json", folder) for c in succeeded(cells) if c.frame_scores]
    found = [scores for path in paths if path and (scores := _read(path)) is not None]
    return [scores for scores in found if len(scores) == len(found[0])]


def _read(path: Path) -> pd.DataFrame | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        # null: nothing was evaluated
        scores = pd.DataFrame({key.upper(): pd.DataFrame(content[key], dtype=float).mean(axis=1) for key in "jf"})
    except (ValueError, KeyError, TypeError):
        return None  # damaged scores are no reason to lose the others
    scores.index += 1
    return None if scores.empty or scores.isna().any(axis=None) else 100 * scores
