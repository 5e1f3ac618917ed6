"""Which trained rows differ from their reference, and on which sequences."""

import math
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.comparison import Comparison, compare
from reports.figures.style import SMALL, explain, marks, save, theme, wrapped
from reports.rows import group_rows
from reports.statistics import PairedDifference, paired

INCHES_PER_ROW = 0.4
NOISE = "0.55"  # grey


def difference_chart(records: list[Record], folder: Path) -> list[Path]:
    """J&F of each trained row minus its reference: mean, 95 % interval, and a dot per sequence.

    Rows and references are those of `compare`, a panel for each reference. Writes differences.png and
    differences.pdf; nothing, and returns [], when there is nothing to compare.
    """
    panels: dict[str, dict[str, Comparison]] = {}
    for name, found in compare(records).items():
        panels.setdefault(found.reference, {})[name] = found
    if not panels:
        return []
    cells = group_rows(records)
    counts = [len(rows) for rows in panels.values()]
    with theme():
        height = sum(1.2 + INCHES_PER_ROW * count for count in counts)
        figure = Figure(figsize=(7.2, height), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[count + 2 for count in counts])
        for axis, (reference, rows) in zip(axes[:, 0], panels.items(), strict=True):
            dots = [paired(cells[name], cells[reference])[0].mean(axis=1) for name in rows]
            _draw(axis, reference, rows, dots)
        return save(figure, folder, "differences")


def _text(found: PairedDifference) -> str:
    ends = "" if math.isnan(found.low) else f" [{found.low:+.1f}, {found.high:+.1f}]"
    return f"{found.mean:+.1f}{ends}".replace("-", "\N{MINUS SIGN}")


def _draw(axis: Axes, reference: str, rows: dict[str, Comparison], dots: list[np.ndarray]) -> None:
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
    axis.set_xlabel(wrapped(f"difference in J&F to {reference}", 70))
    explain(axis, "diamond and bar: mean and 95 % interval (grey: within noise); dots: sequences")
