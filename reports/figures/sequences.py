"""On which sequences a row is better than its reference, and on which worse."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.comparison import Comparison, compare
from reports.figures.style import FAINT, SMALL, explain, marks, save, theme, wrapped
from reports.rows import group_rows
from reports.statistics import paired_sequences

PANELS = 4  # the rows that differ most
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


def sequences_chart(records: list[Record], folder: Path) -> list[Path]:
    """A panel each for the (up to four) rows that differ most from their reference: a bar for every sequence.

    Rows and references are those of `compare`. Writes sequences.png and sequences.pdf; nothing, and returns [],
    when there is nothing to compare.
    """
    cells, compared = group_rows(records), compare(records)
    most = sorted(compared, key=lambda name: -abs(compared[name].difference.mean))[:PANELS]
    panels = [_bars(name, compared[name], cells) for name in compared if name in most]
    if not panels:
        return []
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with theme():
        bars = max(min(len(panel.sequences), SHOWN) for panel in panels)
        height = 1.1 + INCHES_PER_BAR * max(bars, 8)
        figure = Figure(figsize=(4.6 * columns, height * rows), layout="constrained")
        for place, panel in enumerate(panels, start=1):
            _draw(figure.add_subplot(rows, columns, place), panel)
        return save(figure, folder, "sequences")


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
    axis.set_xlabel(wrapped(f"J&F of {bars.name} − that of {bars.found.reference}", 48))  # noqa: RUF001
    left_out = f"; the {SHOWN} with the largest differences" if len(means) == SHOWN else ""
    explain(axis, f"dots: seeds; dashed: mean, grey: its 95 % interval{left_out}")
