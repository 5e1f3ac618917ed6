"""What a longer video costs: latency and memory of a frame against the frames that the video has."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import draw_line, explain, label_ends, log_if_wide, marks, panels

COSTS = {"latency_ms": "latency of a frame (ms)", "memory_mb_peak": "peak memory (MiB)"}


@dataclass(frozen=True)
class Growth:
    """float64 (lengths,) each: video lengths in frames and what a frame costs there; NaN: not measured."""

    name: str
    frames: np.ndarray
    costs: dict[str, np.ndarray]  # by the keys of COSTS


@figure("growth", "Latency and peak memory of a frame against the length of the video")
def growth_chart(records: list[Record], folder: Path) -> Figure | None:
    """Rows with the very same measurement (of one network) share a line; None: growth was not measured."""
    lines = _lines(records)
    shown = [cost for cost in COSTS if any(np.isfinite(line.costs[cost]).any() for line in lines)]
    if not shown:
        return None
    # One under another: side by side, a page would shrink the names beyond reading.
    drawn, axes = panels(len(shown), 7.2, max(3.2, 1.0 + 0.19 * len(lines)))
    for cost, axis in zip(shown, axes, strict=True):
        _draw_cost(axis, lines, cost)
    return drawn


def _lines(records: list[Record]) -> list[Growth]:
    names: dict[str, list[str]] = {}
    for record in records:
        if record.growth_full:
            names.setdefault(record.growth_full, []).append(_name(record))
    return [_line(text, list(dict.fromkeys(labels))) for text, labels in names.items()]


def _name(record: Record) -> str:
    """The values alone of a row that varies several keys: with their keys, sixteen labels find no room."""
    varied = json.loads(record.varied or "{}")
    if len(varied) < 2:
        return record.label
    return ", ".join("unbounded" if value is None else str(value) for value in varied.values())


def _line(text: str, labels: list[str]) -> Growth:
    measured = json.loads(text)
    frames = np.array(measured["video_frames"], float)
    name = labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more"
    missing = [None] * len(frames)
    return Growth(name, frames, {cost: np.array(measured.get(cost) or missing, float) for cost in COSTS})


def _draw_cost(axis: Axes, lines: list[Growth], cost: str) -> None:
    ends = []
    widths = np.linspace(3.2, 1.2, len(lines))  # of lines that coincide the lower ones look out
    for line, mark, width in zip(lines, marks(len(lines)), widths, strict=True):
        values = line.costs[cost]
        known = np.isfinite(values)
        if not known.any():
            continue
        draw_line(axis, line.frames[known], values[known], mark, linewidth=width, markersize=4 + width)
        ends.append((line.name, values[known][-1], mark[0]))
    axis.set_xscale("log")
    frames = np.unique(np.concatenate([line.frames for line in lines]))
    axis.set_xticks(frames, [f"{count:g}" for count in frames])
    axis.set_xticks([], minor=True)
    if not log_if_wide(axis, "y", np.concatenate([line.costs[cost] for line in lines])):
        axis.set_ylim(bottom=0)
    explain(axis, "full-size network at 480x864")
    axis.set_xlabel("length of the video (frames, log scale)")
    axis.set_ylabel(COSTS[cost])
    label_ends(axis, ends)
