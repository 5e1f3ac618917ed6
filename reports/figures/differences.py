"""Which trained rows differ from their reference, and on which sequences."""

import math
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from bench.record import Record
from reports.comparison import SIGNIFICANT, by_reference, compare
from reports.figures import figure
from reports.figures.style import FAINT, SMALL, explain, marks, panels, wrapped
from reports.rows import group_rows, main_score
from reports.statistics import PairedDifference, paired

UNDECIDED = "0.55"  # grey
MOST = 4  # the rows that differ most
SHOWN = 40  # sequences of a panel; of more, half from either end


@figure("differences", "Every trained row minus its reference, with a 95 % interval and a dot a sequence")
def difference_chart(records: list[Record], folder: Path) -> Figure | None:
    """Rows and references are those of `compare`, a panel for each reference; None: nothing to compare."""
    cells, compared = group_rows(records), compare(records)
    if not compared:
        return None
    groups = by_reference(compared)
    drawn = Figure(figsize=(7.2, 1.2 * len(groups) + 0.4 * len(compared)), layout="constrained")
    axes = drawn.subplots(
        len(groups), 1, squeeze=False, height_ratios=[len(names) + 2 for names in groups.values()]
    )
    (better, _), *_, (worse, _) = marks(4)
    for axis, (reference, names) in zip(axes[:, 0], groups.items(), strict=True):
        axis.axvline(0, color="black", linewidth=1)
        for y, name in enumerate(names):
            found, significant = compared[name].difference, compared[name].verdict == SIGNIFICANT
            dots = paired(cells[name], cells[reference])[0].mean(axis=1)
            colour = (better if found.mean > 0 else worse) if significant else UNDECIDED
            axis.plot(dots, [y + 0.22] * len(dots), ".", color=colour, markersize=4, alpha=0.5)
            if not found.lacking:  # the interval of two seeds would be all that is seen
                ends = [found.two_way_low, found.two_way_high]
                axis.plot(ends, [y, y], color=colour, linewidth=2.5, solid_capstyle="butt")
            axis.plot(found.mean, y, "D", color=colour, markersize=6, markeredgecolor="white")
            axis.text(1.02, y, _text(found), transform=axis.get_yaxis_transform(), va="center", fontsize=SMALL)
        axis.set_yticks(range(len(names)), [wrapped(name) for name in names])
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        explain(axis, "diamond: mean (grey: n.s., no verdict); bar: 95 % interval with a verdict; dots: sequences")
        axis.set_xlabel(wrapped(f"difference in {main_score(records).title} to {reference}", 70))
    return drawn


@figure("sequences", "The difference of every sequence, for the rows that differ most from their reference")
def sequences_chart(records: list[Record], folder: Path) -> Figure | None:
    """A panel each for up to four rows; rows and references are those of `compare`. None: nothing to compare."""
    cells, compared, score = group_rows(records), compare(records), main_score(records).title
    most = sorted(compared, key=lambda name: -abs(compared[name].difference.mean))[:MOST]
    rows = {
        name: paired(cells[name], cells[found.reference])[0] for name, found in compared.items() if name in most
    }
    if not rows:
        return None
    bars = min(SHOWN, max(len(differences) for differences in rows.values()))
    drawn, axes = panels(len(rows), 4.6, 1.1 + 0.17 * max(bars, 8), columns=2)
    (better, _), *_, (worse, _) = marks(4)
    for axis, (name, every) in zip(axes, rows.items(), strict=True):
        shown = every.iloc[every.mean(axis=1).argsort(kind="stable")]  # the worst first
        if len(shown) > SHOWN:
            shown = pd.concat([shown.head(SHOWN // 2), shown.tail(SHOWN // 2)])
        means, places, found = shown.mean(axis=1), range(len(shown)), compared[name].difference
        if not found.lacking:
            axis.axvspan(found.two_way_low, found.two_way_high, color=FAINT, alpha=0.2, linewidth=0)
        axis.axvline(found.mean, color=FAINT, linestyle="--", linewidth=1.2)
        axis.barh(places, means, color=[better if mean > 0 else worse for mean in means], height=0.75)
        if len(shown.columns) > 1:
            axis.plot(shown, places, "k.", markersize=3)
        axis.axvline(0, color="black", linewidth=1)
        axis.set_yticks(places, shown.index, fontsize=SMALL)
        axis.set_ylim(-0.6, len(places) - 0.4)
        axis.grid(axis="y", visible=False)
        left_out = f"; the {SHOWN} with the largest differences" if len(every) > SHOWN else ""
        explain(axis, f"dots: seeds; dashed: mean, grey: its 95 % interval{left_out}")
        axis.set_xlabel(wrapped(f"{score} of {name} − that of {compared[name].reference}", 48))  # noqa: RUF001
    return drawn


def _text(found: PairedDifference) -> str:
    ends = "" if math.isnan(found.two_way_low) else f" [{found.two_way_low:+.1f}, {found.two_way_high:+.1f}]"
    return f"{found.mean:+.1f}{ends}".replace("-", "\N{MINUS SIGN}")
