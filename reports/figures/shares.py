"""How much of the gradient each loss makes."""

from pathlib import Path

from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import FAINT, INCHES_PER_ROW, explain, marks, readable, wrapped
from reports.shares import LITTLE, shares_of_rows


@figure("shares", "How much of the gradient each loss makes, beside that of the losses on labels")
def share_chart(records: list[Record], _: Path) -> Figure | None:
    """A row a label, a mark a loss: the mean over the seeds. None where all losses are on labels alone."""
    rows = shares_of_rows(records)
    losses = list(dict.fromkeys(loss for shares in rows.values() for loss in shares))
    if not rows:
        return None
    drawn = Figure(figsize=(7.2, 1.4 + INCHES_PER_ROW * len(rows)), layout="constrained")
    axis = drawn.subplots()
    for loss, (colour, marker) in zip(losses, marks(len(losses)), strict=True):
        places = [(shares[loss], y) for y, shares in enumerate(rows.values()) if shares.get(loss, 0) > 0]
        axis.plot(
            *zip(*places, strict=True), marker, color=colour, label=f"{readable(loss)} loss", linestyle="none"
        )
    axis.axvline(LITTLE, color=FAINT, linewidth=1, linestyle="--")
    axis.set_yticks(range(len(rows)), [wrapped(name) for name in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set(xscale="log", xlabel="norm of the gradient / that of the losses on labels (log scale)")
    explain(
        axis,
        f"median of the looks along a training, mean over the seeds; dashed: {LITTLE:.0%}, below which little acts",
    )
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return drawn
