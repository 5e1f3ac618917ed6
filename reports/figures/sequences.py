"""On which sequences a row is better than its reference, and on which worse."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.comparison import Comparison, compare
from reports.figures import figure
from reports.figures.style import FAINT, SMALL, explain, marks, panels, wrapped
from reports.rows import group_rows, main_score
from reports.statistics import paired_sequences

MOST = 4  # the rows that differ most
COLUMNS = 2
SHOWN = 40  # sequences of a panel; of more, half from either end
INCHES_PER_BAR = 0.17


@dataclass(frozen=True)
class Bars:
    """J&F of a row minus its reference: of each sequence, worst first, over seeds (sequences, seeds)."""

    name: str
    found: Comparison
    sequences: list[str]
    differences: np.ndarray


@figure(
    "sequences", "The rows that differ most from their reference: the difference of every sequence, sorted"
)
def sequences_chart(records: list[Record], folder: Path) -> Figure | None:
    """A panel each for up to four rows; rows and references are those of `compare`. None: nothing to compare."""
    cells, compared = group_rows(records), compare(records)
    most = sorted(compared, key=lambda name: -abs(compared[name].difference.mean))[:MOST]
    rows = [_bars(name, compared[name], cells) for name in compared if name in most]
    if not rows:
        return None
    bars = max(min(len(row.sequences), SHOWN) for row in rows)
    drawn, axes = panels(len(rows), 4.6, 1.1 + INCHES_PER_BAR * max(bars, 8), COLUMNS)
    for axis, row in zip(axes, rows, strict=True):
        _draw(axis, row)
        names = f"{main_score(records).title} of {row.name} − that of {row.found.reference}"  # noqa: RUF001
        axis.set_xlabel(wrapped(names, 48))
    return drawn


def _bars(name: str, found: Comparison, cells: dict[str, list[Record]]) -> Bars:
    sequences, differences, _ = paired_sequences(cells[name], cells[found.reference])
    order = np.argsort(differences.mean(axis=1), kind="stable")
    if len(order) > SHOWN:
        order = np.concatenate([order[: SHOWN // 2], order[-SHOWN // 2 :]])
    return Bars(name, found, [sequences[i] for i in order], differences[order])


def _draw(axis: Axes, bars: Bars) -> None:
    better, worse = (marks(4)[index][0] for index in (0, 3))
    found, means = bars.found.difference, bars.differences.mean(axis=1)
    places = np.arange(len(means))
    if not math.isnan(found.low):
        axis.axvspan(found.low, found.high, color=FAINT, alpha=0.2, linewidth=0)
    axis.axvline(found.mean, color=FAINT, linestyle="--", linewidth=1.2)
    axis.barh(places, means, color=[better if mean > 0 else worse for mean in means], height=0.75)
    if bars.differences.shape[1] > 1:
        axis.plot(bars.differences, places, "k.", markersize=3)
    axis.axvline(0, color="black", linewidth=1)
    axis.set_yticks(places, bars.sequences, fontsize=SMALL)
    axis.set_ylim(-0.6, len(places) - 0.4)
    axis.grid(axis="y", visible=False)
    left_out = f"; the {SHOWN} with the largest differences" if len(means) == SHOWN else ""
    explain(axis, f"dots: seeds; dashed: mean, grey: its 95 % interval{left_out}")
