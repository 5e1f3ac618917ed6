"""J&F of every row, with its seeds and its interval."""

from pathlib import Path

from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.scores import scores
from reports.figures.style import FAINT, INCHES_PER_ROW, explain, looks, panels, wrapped
from reports.rows import aggregate


@figure("accuracy", "J&F of every row: seeds, mean and 95 % interval")
def accuracy_chart(records: list[Record], folder: Path) -> Figure | None:
    """None when no cell has a J&F."""
    found = {score.name: score for score in scores(records)}
    if not found:
        return None
    rows = aggregate(records)
    drawn, (axis,) = panels(1, 5.2, 1.4 + INCHES_PER_ROW * max(len(rows), 5))
    looked = {"markersize": 7, "mec": "white", "mew": 0.7}
    for y, (name, (colour, marker)) in enumerate(looks(rows["label"]).items()):
        if name in found:
            score = found[name]
            axis.plot([score.low, score.high], [y, y], color=colour, linewidth=1.2, alpha=0.7)
            axis.plot([score.mean] * 2, [y - 0.3, y + 0.3], color="black", linewidth=1.5)
            axis.plot(score.seeds, [y] * len(score.seeds), marker, color=colour, **looked)
        else:
            text = "not scored" if rows["n"][y] else "no result"
            axis.text(0.02, y, text, transform=axis.get_yaxis_transform(), va="center", color=FAINT)
    axis.set_yticks(range(len(rows)), [wrapped(name) for name in rows["label"]])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    axis.set_xlabel("J&F (%)")
    explain(axis, "marks: seeds, upright bar: mean, line: 95 % interval")
    return drawn
