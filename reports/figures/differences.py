"""Which trained rows differ from their reference, and on which sequences."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.comparison import Comparison, compare
from reports.figures import figure
from reports.figures.style import SMALL, explain, marks, wrapped
from reports.rows import group_rows, main_score
from reports.statistics import PairedDifference, paired

INCHES_PER_ROW = 0.4
NOISE = "0.55"  # grey


@figure("differences", "Every trained row minus its reference, with a 95 % interval and a dot a sequence")
def difference_chart(records: list[Record], folder: Path) -> Figure | None:
    """Rows and references are those of `compare`, a panel for each reference; None: nothing to compare."""
    panels: dict[str, dict[str, Comparison]] = {}
    for name, found in compare(records).items():
        panels.setdefault(found.reference, {})[name] = found
    if not panels:
        return None
    cells = group_rows(records)
    counts = [len(rows) for rows in panels.values()]
    height = sum(1.2 + INCHES_PER_ROW * count for count in counts)
    drawn = Figure(figsize=(7.2, height), layout="constrained")
    axes = drawn.subplots(len(panels), 1, squeeze=False, height_ratios=[count + 2 for count in counts])
    for axis, (reference, rows) in zip(axes[:, 0], panels.items(), strict=True):
        dots = [paired(cells[name], cells[reference])[1].mean(axis=1) for name in rows]
        _draw(axis, rows, dots)
        axis.set_xlabel(wrapped(f"difference in {main_score(records).title} to {reference}", 70))
    return drawn


def _text(found: PairedDifference) -> str:
    ends = "" if math.isnan(found.low) else f" [{found.low:+.1f}, {found.high:+.1f}]"
    return f"{found.mean:+.1f}{ends}".replace("-", "\N{MINUS SIGN}")


def _draw(axis: Axes, rows: dict[str, Comparison], dots: list[np.ndarray]) -> None:
    better, worse = (marks(4)[index][0] for index in (0, 3))
    axis.axvline(0, color="black", linewidth=1)
    for y, (row, sequences) in enumerate(zip(rows.values(), dots, strict=True)):
        found = row.difference
        colour = NOISE if found.within_noise else better if found.mean > 0 else worse
        axis.plot(sequences, [y + 0.22] * len(sequences), ".", color=colour, markersize=4, alpha=0.5)
        axis.plot([found.low, found.high], [y, y], color=colour, linewidth=2.5, solid_capstyle="butt")
        axis.plot(found.mean, y, "D", color=colour, markersize=6, markeredgecolor="white")
        axis.text(1.02, y, _text(found), transform=axis.get_yaxis_transform(), va="center", fontsize=SMALL)
    axis.set_yticks(range(len(rows)), [wrapped(name) for name in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    explain(axis, "diamond and bar: mean and 95 % interval (grey: within noise); dots: sequences")
