"""What a longer video costs: latency and memory of a frame against the frames that the video has."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import draw_line, finish_costs, marks, panels

COSTS = {"latency_ms": "latency of a frame (ms)", "memory_mb_peak": "peak memory (MiB)"}


@figure("growth", "Latency and peak memory of a frame against the length of the video")
def growth_chart(records: list[Record], folder: Path) -> Figure | None:
    """Rows with the very same measurement (of one network) share a line; None: growth was not measured."""
    lines = _lines(records)
    shown = [cost for cost in COSTS if any(costs[cost].notna().any() for _, costs in lines)]
    if not shown:
        return None
    # One under another: side by side, a page would shrink the names beyond reading.
    drawn, axes = panels(len(shown), 7.2, max(3.2, 1.0 + 0.19 * len(lines)))
    for cost, axis in zip(shown, axes, strict=True):
        _draw_cost(axis, lines, cost)
    return drawn


def _lines(records: list[Record]) -> list[tuple[str, pd.DataFrame]]:
    """(name, costs by the video's length in frames); NaN: not measured."""
    names: dict[str, list[str]] = {}
    for record in records:
        if record.growth_full:
            names.setdefault(record.growth_full, []).append(_name(record))
    lines = []
    for text, (first, *others) in ((text, dict.fromkeys(labels)) for text, labels in names.items()):
        measured = json.loads(text)
        costs = {cost: measured.get(cost) or np.nan for cost in COSTS}
        name = f"{first} and {len(others)} more" if others else first
        lines.append((name, pd.DataFrame(costs, measured["video_frames"], dtype=float)))
    return lines


def _name(record: Record) -> str:
    """The values alone of a row that varies several keys: with their keys, sixteen labels find no room."""
    varied = json.loads(record.varied or "{}")
    if len(varied) < 2:
        return record.label
    return ", ".join("unbounded" if value is None else str(value) for value in varied.values())


def _draw_cost(axis: Axes, lines: list[tuple[str, pd.DataFrame]], cost: str) -> None:
    ends = []
    widths = np.linspace(3.2, 1.2, len(lines))  # of lines that coincide the lower ones look out
    for (name, costs), mark, width in zip(lines, marks(len(lines)), widths, strict=True):
        known = costs[cost].dropna()
        if len(known):
            draw_line(axis, known.index, known, mark, linewidth=width, markersize=4 + width)
            ends.append((name, known.iloc[-1], mark[0]))
    axis.set(xscale="log", xlabel="length of the video (frames, log scale)", ylabel=COSTS[cost])
    lengths = sorted({frames for _, costs in lines for frames in costs.index})
    finish_costs(axis, "full-size network at 480x864", ends, lengths)
