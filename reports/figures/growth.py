"""What a longer video costs, and what more objects cost."""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import draw_line, finish_costs, marks, panels

COSTS = {"latency_ms": "latency of a frame (ms)", "memory_mb_peak": "peak memory (MiB)"}
LENGTH = "length of the video (frames, log scale)"
SWEEPS = {"length": ("video_frames", LENGTH), "objects": ("objects", "objects")}  # key of its x values, their label


@figure("growth", "Latency and peak memory of a frame against the length of the video")
def growth_chart(records: list[Record], folder: Path) -> Figure | None:
    """Rows with the very same measurement (of one network) share a line; None: growth was not measured."""
    lines = _lines(records)
    shown = [cost for cost in COSTS if any(costs[cost].notna().any() for _, costs in lines)]
    if not shown:
        return None
    # One under another: side by side, a page would shrink the names beyond reading.
    drawn, axes = panels(len(shown), 7.2, max(3.2, 1.0 + 0.19 * len(lines)))
    widths = np.linspace(3.2, 1.2, len(lines))  # of lines that coincide the lower ones look out
    for cost, axis in zip(shown, axes, strict=True):
        axis.set(xscale="log", xlabel=LENGTH, ylabel=COSTS[cost])
        _draw(axis, [(name, costs[cost]) for name, costs in lines], "full-size network at 480x864", widths)
    return drawn


@figure("measure", "Latency against the length of the video and the number of objects")
def measure_chart(records: list[Record], folder: Path) -> Figure | None:
    """Median latency of the protocol `core`, a line per method, from FOLDER/measure.json; None: there is none."""
    if not (folder / "measure.json").is_file():
        return None
    content = json.loads((folder / "measure.json").read_text(encoding="utf-8"))
    sweeps = {name: found["sweep"] for name, found in content["methods"].items() if found.get("sweep")}
    if not sweeps:
        return None
    words = "core, {height}x{width}, {device}".format(**content["settings"] | {"device": content["device"]})
    drawn, axes = panels(len(SWEEPS), 7.2, 3.2)
    for axis, (sweep, (x, label)) in zip(axes, SWEEPS.items(), strict=True):
        axis.set(xlabel=label, ylabel=COSTS["latency_ms"], xscale="log" if label == LENGTH else "linear")
        lines = [(name, pd.Series(found[sweep]["core_ms"], found[sweep][x])) for name, found in sweeps.items()]
        _draw(axis, lines, words)
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


def _draw(axis: Axes, lines: list[tuple[str, pd.Series]], words: str, widths: Collection[float] = ()) -> None:
    """A line per name and its costs over their index; widths: of each, where they differ."""
    ends = []
    looks = [{"linewidth": width, "markersize": 4 + width} for width in widths] or [{}] * len(lines)
    for (name, costs), mark, look in zip(lines, marks(len(lines)), looks, strict=True):
        known = costs.dropna()
        if len(known):
            draw_line(axis, known, mark, **look)
            ends.append((name, known.iloc[-1], mark[0]))
    finish_costs(axis, words, ends, sorted({x for _, costs in lines for x in costs.index}))
