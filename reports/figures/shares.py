"""How much of the gradient each loss makes."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import FAINT, INCHES_PER_ROW, explain, log_if_wide, marks, readable, wrapped
from reports.shares import LITTLE, shares_of_rows


@figure("shares", "How much of the gradient each loss makes, beside that of the losses on labels")
def share_chart(records: list[Record], _: Path) -> Figure | None:
    """A row a label, a mark a loss: the mean over the seeds. None where all losses are on labels alone."""
    rows = shares_of_rows(records)
    losses = list(dict.fromkeys(loss for shares in rows.values() for loss in shares))
    drawn_shares = [share for shares in rows.values() for share in shares.values() if share > 0]
    if not drawn_shares:
        return None
    drawn = Figure(figsize=(7.2, 1.4 + INCHES_PER_ROW * len(rows)), layout="constrained")
    axis = drawn.subplots()
    for loss, (colour, marker) in zip(losses, marks(len(losses)), strict=True):
        places = {y: shares[loss] for y, shares in enumerate(rows.values()) if shares.get(loss, 0) > 0}
        axis.scatter(list(places.values()), list(places), color=colour, marker=marker, label=readable(loss))
    axis.axvline(LITTLE, color=FAINT, linewidth=1, linestyle="--")
    axis.set_yticks(range(len(rows)), [wrapped(name) for name in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel("norm of a loss's gradient / that of the losses on labels")
    if log_if_wide(axis, "x", np.array([*drawn_shares, LITTLE])):
        axis.set_xlabel(f"{axis.get_xlabel()} (log scale)")
    explain(axis, f"medians along a training, means over seeds; left of {LITTLE:.0%} (dashed) a loss hardly acts")
    axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return drawn
