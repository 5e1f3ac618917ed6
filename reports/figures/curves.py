"""J&F against the one number that an ablation varies; of the length of a queue, also what it costs."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.accuracy import Score, scores
from reports.figures.growth import COSTS
from reports.figures.style import Colour, End, explain, finish_costs, label_ends, marks, panels, readable
from reports.rows import group_rows

CROWDED = 0.08  # of the width between two neighbours: closer than this, another scale is tried
ROOM = 0.18  # of the width: for the word "unbounded"
BASELINE = "0.3"  # grey
INSTEAD = {"latency_ms": "latency_ms_median_full", "memory_mb_peak": "memory_mb_peak_full"}  # fields of a record


@dataclass(frozen=True)
class Sweep:
    """The rows of an ablation over the numbers of one config key; None means "without a bound"."""

    key: str
    values: list[float | None]  # increasing, None last
    lines: dict[str, list[Score]]  # what else sets rows apart -> the rows that share it, by increasing value
    baselines: list[Score]  # rows without the key


@figure("sweep", "J&F against the one number that an ablation varies, with its 95 % interval")
def sweep_chart(records: list[Record], folder: Path) -> Figure | None:
    """Mean J&F with its 95 % interval and a dot per seed against the varied number; baselines are levels.

    One line for each combination of the other varied keys. None unless exactly one key takes three or more values
    that are numbers (or null).
    """
    rows = scores(records)
    keys = {key for row in rows for key in row.varied if len(_values(rows, key)) > 2}
    if len(keys) != 1:
        return None
    drawn, (axis,) = panels(1, 6.4, 4)
    _draw_scores(axis, _find_sweep(rows, keys.pop()))
    return drawn


@figure("queue", "J&F, latency and peak memory against the length of the queue")
def queue_chart(records: list[Record], folder: Path) -> Figure | None:
    """The costs are those at the end of the longest video that was measured; None unless one varied key is a
    queue's length and a cost was measured."""
    rows = scores(records)
    keys = {key for row in rows for key in row.varied if "queue" in key.rsplit(".", 1)[-1]}
    costs = {cost: found for cost in COSTS if (found := _costs(records, cost))}
    if len(keys) != 1 or not costs or len((sweep := _find_sweep(rows, keys.pop())).values) < 2:
        return None
    drawn, axes = panels(1 + len(costs), 7.2, 3.1)
    _draw_scores(axes[0], sweep)
    grown = [json.loads(record.growth_full)["video_frames"][-1] for record in records if record.growth_full]
    words = "full-size network at 480x864" + (f", at the end of {max(grown)} frames" if grown else "")
    for axis, (cost, values) in zip(axes[1:], costs.items(), strict=True):
        ends = _draw(axis, sweep, COSTS[cost], values)
        finish_costs(axis, words, ends)
    return drawn


def _costs(records: list[Record], cost: str) -> dict[str, float]:
    """By the name of the row; its seeds are one network, measured once."""
    found = {}
    for name, cells in group_rows(records).items():
        grown = [series[-1] for cell in cells if (series := json.loads(cell.growth_full or "{}").get(cost))]
        values = [*grown, *(getattr(cell, INSTEAD[cost]) for cell in cells)]
        found[name] = next((value for value in values if value is not None), None)
    return {name: value for name, value in found.items() if value is not None}


def _find_sweep(rows: list[Score], key: str) -> Sweep:
    """The sweep over this key; a row that has something else than a number there is left out."""
    values = _values(rows, key)
    swept = [row for row in rows if key in row.varied and _is_number(row.varied[key])]
    keys = {k for row in swept for k in row.varied if k != key}
    others = sorted(k for k in keys if any(row.varied.get(k) != swept[0].varied.get(k) for row in swept))
    several_sets = len({row.dataset for row in swept}) > 1
    lines: dict[str, list[Score]] = {}
    for row in swept:
        parts = [f"{readable(k)}: {row.varied.get(k)}" for k in others] + [row.dataset] * several_sets
        lines.setdefault(", ".join(parts), []).append(row)
    for line in lines.values():
        line.sort(key=lambda row: values.index(row.varied[key]))
    return Sweep(key, values, lines, [row for row in rows if key not in row.varied])


def _draw_scores(axis: Axes, sweep: Sweep) -> None:
    """J&F over the sweep, with intervals, seeds, baselines, and the names at the right."""
    ends = _draw(axis, sweep, "J&F (%)")
    for row in sweep.baselines:
        copied = row.method == "copy_first_mask"
        axis.axhline(row.mean, color=BASELINE, linestyle=":" if copied else "--", linewidth=1.3)
        ends.append((row.name, row.mean, BASELINE))
    rows = [row for line in sweep.lines.values() for row in line]
    several = ["large marks: means", "dots: seeds"] if any(len(row.seeds) > 1 for row in rows) else []
    explain(axis, ", ".join([*several, *["band: 95 % interval"] * any(not math.isnan(row.low) for row in rows)]))
    label_ends(axis, ends)


def _draw(axis: Axes, sweep: Sweep, label: str, costs: dict[str, float] | None = None) -> list[End]:
    """Draw the costs of the rows that have one, or, without costs, J&F with its interval.

    Returns what to write at the ends of the lines, where there are several.
    """
    ends: list[End] = []
    places, scale = _places(sweep.values)
    for (name, rows), (colour, marker) in zip(sweep.lines.items(), marks(len(sweep.lines)), strict=True):
        known = [row for row in rows if costs is None or row.name in costs]
        if not known:
            continue
        values = [row.varied[sweep.key] for row in known]
        inside = np.array([value is not None for value in values])
        x = np.array([places[sweep.values.index(value)] for value in values])
        y = np.array([row.mean if costs is None else costs[row.name] for row in known])
        # The last step, to "unbounded", has no length: it is dotted.
        axis.plot(x, y, ":", color=colour, linewidth=1.2)
        axis.plot(x[inside], y[inside], color=colour, linewidth=1.8)
        axis.plot(x, y, marker, color=colour, markersize=6, markeredgecolor="white")
        ends.append((name, y[-1], colour))
        if costs is None:
            _draw_spread(axis, x, known, colour, inside)
    axis.set_xticks(places, ["unbounded" if value is None else f"{value:g}" for value in sweep.values])
    margin = 0.05 * max(places)
    axis.set_xlim(min(places) - margin, max(places) + (2 * margin if None in sweep.values else margin))
    axis.set(xlabel=readable(sweep.key) + scale, ylabel=label)
    return ends if len(sweep.lines) > 1 else []


def _draw_spread(axis: Axes, x: np.ndarray, rows: list[Score], colour: Colour, inside: np.ndarray) -> None:
    low, high = (np.array([getattr(row, name) for row in rows]) for name in ("low", "high"))
    axis.fill_between(x[inside], low[inside], high[inside], color=colour, alpha=0.1, linewidth=0)
    for edge in (low, high):  # so that bands that overlap stay tellable
        axis.plot(x[inside], edge[inside], color=colour, alpha=0.5, linewidth=0.7)
    # "unbounded" has an interval of its own, a bar.
    axis.vlines(x[~inside], low[~inside], high[~inside], color=colour, alpha=0.4, linewidth=3)
    for place, row in zip(x, rows, strict=True):
        axis.plot([place] * len(row.seeds), row.seeds, ".", color=colour, markersize=4, alpha=0.7)


def _places(values: list[float | None]) -> tuple[list[float], str]:
    """Where the values stand, from 0 to 1 (None one step further), and what to say about the scale.

    True to the numbers if they do not crowd, else by their logarithms, else evenly.
    """
    numbers = np.array([value for value in values if value is not None], float)
    scales = [("", numbers)]
    if numbers.min() > 0:
        scales.append((" (log scale)", np.log(numbers)))
    scales.append((" (evenly spaced)", np.arange(len(numbers))))
    placed = [((scaled - scaled[0]) / ((scaled[-1] - scaled[0]) or 1), note) for note, scaled in scales]
    places, note = next((p for p in placed if min(np.diff(p[0]), default=1) >= CROWDED), placed[-1])
    step = max(1 / max(len(numbers) - 1, 1), ROOM)
    return [*places.tolist(), *([1 + step] if None in values else [])], note


def _values(rows: list[Score], key: str) -> list[float | None]:
    """The different numbers that rows have for a key, increasing; None, if a row has it, last."""
    found = {row.varied[key] for row in rows if key in row.varied and _is_number(row.varied[key])}
    return sorted(found, key=lambda value: math.inf if value is None else value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
