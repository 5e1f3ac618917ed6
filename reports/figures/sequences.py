"""On which sequences a row is better than its reference, and on which worse."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.comparison import compare
from reports.figures import figure
from reports.figures.style import FAINT, SMALL, explain, marks, panels, wrapped
from reports.rows import group_rows, main_score
from reports.statistics import PairedDifference, paired

MOST = 4  # the rows that differ most
COLUMNS = 2
SHOWN = 40  # sequences of a panel; of more, half from either end
INCHES_PER_BAR = 0.17


@figure("sequences", "The difference of every sequence, for the rows that differ most from their reference")
def sequences_chart(records: list[Record], folder: Path) -> Figure | None:
    """A panel each for up to four rows; rows and references are those of `compare`. None: nothing to compare."""
    cells, compared, score = group_rows(records), compare(records), main_score(records).title
    most = sorted(compared, key=lambda name: -abs(compared[name].difference.mean))[:MOST]
    rows = {name: _bars(cells[name], cells[compared[name].reference]) for name in compared if name in most}
    if not rows:
        return None
    bars = max(len(sequences) for sequences, _ in rows.values())
    drawn, axes = panels(len(rows), 4.6, 1.1 + INCHES_PER_BAR * max(bars, 8), COLUMNS)
    for axis, (name, found) in zip(axes, rows.items(), strict=True):
        _draw(axis, compared[name].difference, *found)
        axis.set_xlabel(wrapped(f"{score} of {name} − that of {compared[name].reference}", 48))  # noqa: RUF001
    return drawn


def _bars(row: list[Record], reference: list[Record]) -> tuple[list[str], np.ndarray]:
    """Sequences, the worst first, and the row's differences (sequences, seeds) to the reference."""
    sequences, differences, _ = paired(row, reference)
    order = np.argsort(differences.mean(axis=1), kind="stable")
    if len(order) > SHOWN:
        order = np.concatenate([order[: SHOWN // 2], order[-SHOWN // 2 :]])
    return [sequences[i] for i in order], differences[order]


def _draw(axis: Axes, found: PairedDifference, sequences: list[str], differences: np.ndarray) -> None:
    better, worse = (marks(4)[index][0] for index in (0, 3))
    means, places = differences.mean(axis=1), np.arange(len(differences))
    if not math.isnan(found.low):
        axis.axvspan(found.low, found.high, color=FAINT, alpha=0.2, linewidth=0)
    axis.axvline(found.mean, color=FAINT, linestyle="--", linewidth=1.2)
    axis.barh(places, means, color=[better if mean > 0 else worse for mean in means], height=0.75)
    if differences.shape[1] > 1:
        axis.plot(differences, places, "k.", markersize=3)
    axis.axvline(0, color="black", linewidth=1)
    axis.set_yticks(places, sequences, fontsize=SMALL)
    axis.set_ylim(-0.6, len(places) - 0.4)
    axis.grid(axis="y", visible=False)
    left_out = f"; the {SHOWN} with the largest differences" if len(means) == SHOWN else ""
    explain(axis, f"dots: seeds; dashed: mean, grey: its 95 % interval{left_out}")
