"""J&F of every row, with its seeds and its interval."""

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import FAINT, INCHES_PER_ROW, explain, looks, panels, wrapped
from reports.rows import aggregate, group_rows, succeeded, values
from reports.statistics import interval


@dataclass(frozen=True)
class Score:
    """J&F of one row in percent: of every seed, their mean, and its 95 % interval (NaN when there is none)."""

    name: str
    method: str
    dataset: str
    seeds: list[float]
    low: float
    high: float
    varied: dict[str, Any]  # {config key: value} that sets the row apart; empty for a baseline

    @property
    def mean(self) -> float:
        return fmean(self.seeds)


def scores(records: list[Record]) -> list[Score]:
    """One for each row with a successful, scored cell, in order of first appearance."""
    found = []
    for name, cells in group_rows(succeeded(records)).items():
        if seeds := values(cells, "jf_mean"):
            varied = json.loads(cells[0].varied or "{}")
            found.append(Score(name, cells[0].method, cells[0].dataset, seeds, *interval(cells), varied))
    return found


@figure("accuracy", "J&F of every row: seeds, mean and 95 % interval")
def accuracy_chart(records: list[Record], folder: Path) -> Figure | None:
    """None when no cell has a J&F."""
    found = {score.name: score for score in scores(records)}
    if not found:
        return None
    rows = aggregate(records)
    drawn, (axis,) = panels(1, 5.2, 1.4 + INCHES_PER_ROW * max(len(rows), 5))
    for y, (name, (colour, marker)) in enumerate(looks(rows["label"]).items()):
        if name in found:
            score = found[name]
            axis.plot([score.low, score.high], [y, y], color=colour, linewidth=1.2, alpha=0.7)
            axis.plot([score.mean] * 2, [y - 0.3, y + 0.3], color="black", linewidth=1.5)
            axis.plot(score.seeds, [y] * len(score.seeds), marker, color=colour, markersize=7, mec="white", mew=0.7)
        else:
            text = "not scored" if rows["n"][y] else "no result"
            axis.text(0.02, y, text, transform=axis.get_yaxis_transform(), va="center", color=FAINT)
    axis.set_yticks(range(len(rows)), [wrapped(name) for name in rows["label"]])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("J&F (%)")
    explain(axis, "marks: seeds, upright bar: mean, line: 95 % interval")
    return drawn
