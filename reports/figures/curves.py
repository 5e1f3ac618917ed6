"""J&F against the one number that an ablation varies."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.scores import Score, scores
from reports.figures.style import explain, finish_costs, label_ends, marks, panels, readable

CROWDED = 0.08  # of the width between two neighbours: closer than this, another scale is tried
ROOM = 0.18  # of the width: for the word "unbounded"
BASELINE = "0.3"  # grey


@dataclass(frozen=True)
class Sweep:
    """The rows of an ablation over the numbers of one config key; None means "without a bound"."""

    key: str
    values: list[float | None]  # increasing, None last
    lines: dict[str, list[Score]]  # what else sets rows apart -> the rows that share it, by increasing value
    baselines: list[Score]  # rows without the key

    def places(self, rows: list[Score]) -> np.ndarray:
        """float64 (rows,): where they stand along a panel."""
        places, _ = _places(self.values)
        return np.array([places[self.values.index(row.varied[self.key])] for row in rows])

    def bounded(self, rows: list[Score]) -> np.ndarray:
        """bool (rows,): whether their value is a number."""
        return np.array([row.varied[self.key] is not None for row in rows])


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
    draw_sweep(axis, find_sweep(rows, keys.pop()))
    return drawn


def find_sweep(rows: list[Score], key: str) -> Sweep:
    """The sweep over this key; a row that has something else than a number there is left out."""
    values = _values(rows, key)
    swept = [row for row in rows if key in row.varied and _is_number(row.varied[key])]
    others = sorted({k for row in swept for k in row.varied if k != key and _differs(swept, k)})
    several_sets = len({row.dataset for row in swept}) > 1
    lines: dict[str, list[Score]] = {}
    for row in swept:
        parts = [f"{readable(k)}: {row.varied.get(k)}" for k in others] + [row.dataset] * several_sets
        lines.setdefault(", ".join(parts), []).append(row)
    for line in lines.values():
        line.sort(key=lambda row: values.index(row.varied[key]))
    return Sweep(key, values, lines, [row for row in rows if key not in row.varied])


def draw_sweep(axis: Axes, sweep: Sweep) -> None:
    """Draw the sweep on a panel and write the names at its right."""
    ends = []
    for (name, rows), (colour, marker) in zip(sweep.lines.items(), marks(len(sweep.lines)), strict=True):
        _draw_line(axis, sweep.places(rows), rows, colour, marker, sweep.bounded(rows))
        if len(sweep.lines) > 1:
            ends.append((name, rows[-1].mean, colour))
    for row in sweep.baselines:
        copied = row.method == "copy_first_mask"
        axis.axhline(row.mean, color=BASELINE, linestyle=":" if copied else "--", linewidth=1.3)
        ends.append((row.name, row.mean, BASELINE))
    mark_values(axis, sweep)
    axis.set_ylabel("J&F (%)")
    explain(axis, _explained(sweep))
    label_ends(axis, ends)


def draw_swept(axis: Axes, sweep: Sweep, values: dict[str, float], label: str, words: str) -> None:
    """Draw a cost over the sweep; values: by the names of rows, those without one are left out."""
    ends = []
    for (name, rows), (colour, marker) in zip(sweep.lines.items(), marks(len(sweep.lines)), strict=True):
        known = [row for row in rows if row.name in values]
        if known:
            y = np.array([values[row.name] for row in known])
            _draw_means(axis, sweep.places(known), y, colour, marker, sweep.bounded(known))
            ends.append((name, y[-1], colour))
    mark_values(axis, sweep)
    axis.set_ylabel(label)
    finish_costs(axis, words, ends if len(sweep.lines) > 1 else [])


def mark_values(axis: Axes, sweep: Sweep) -> None:
    """Name the swept key and its values along a panel."""
    places, scale = _places(sweep.values)
    axis.set_xticks(places, ["unbounded" if value is None else f"{value:g}" for value in sweep.values])
    margin = 0.05 * max(places)
    axis.set_xlim(min(places) - margin, max(places) + (2 * margin if None in sweep.values else margin))
    axis.set_xlabel(readable(sweep.key) + scale)


def _draw_means(axis: Axes, x: np.ndarray, mean: np.ndarray, colour, marker: str, inside: np.ndarray) -> None:
    # The last step, to "unbounded", has no length: it is dotted.
    axis.plot(x, mean, ":", color=colour, linewidth=1.2)
    axis.plot(x[inside], mean[inside], color=colour, linewidth=1.8)
    axis.plot(x, mean, marker, color=colour, markersize=6, markeredgecolor="white")


def _draw_line(axis: Axes, x: np.ndarray, rows: list[Score], colour, marker: str, inside: np.ndarray) -> None:
    mean, low, high = (np.array([getattr(row, name) for row in rows]) for name in ("mean", "low", "high"))
    _draw_means(axis, x, mean, colour, marker, inside)
    axis.fill_between(x[inside], low[inside], high[inside], color=colour, alpha=0.1, linewidth=0)
    for edge in (low, high):  # so that bands that overlap stay tellable
        axis.plot(x[inside], edge[inside], color=colour, alpha=0.5, linewidth=0.7)
    # "unbounded" has an interval of its own, a bar.
    axis.vlines(x[~inside], low[~inside], high[~inside], color=colour, alpha=0.4, linewidth=3)
    for place, row in zip(x, rows, strict=True):
        axis.plot([place] * len(row.seeds), row.seeds, ".", color=colour, markersize=4, alpha=0.7)


def _explained(sweep: Sweep) -> str:
    rows = [row for line in sweep.lines.values() for row in line]
    several = ["large marks: means", "dots: seeds"] if any(len(row.seeds) > 1 for row in rows) else []
    return ", ".join([*several, *["band: 95 % interval"] * any(not math.isnan(row.low) for row in rows)])


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


def _differs(rows: list[Score], key: str) -> bool:
    return any(row.varied.get(key) != rows[0].varied.get(key) for row in rows)
