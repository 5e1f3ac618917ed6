"""What a longer queue of remembered frames brings, and what it costs."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.curves import Sweep, draw_sweep, draw_swept, find_sweep
from reports.figures.growth import COSTS
from reports.figures.scores import scores
from reports.figures.style import panels
from reports.rows import group_rows

INSTEAD = {"latency_ms": "latency_ms_median_full", "memory_mb_peak": "memory_mb_peak_full"}  # fields of a record


@figure("queue", "J&F, latency and peak memory against the length of the queue")
def queue_chart(records: list[Record], folder: Path) -> Figure | None:
    """The costs are those at the end of the longest video that was measured; None unless one varied key is a
    queue's length and a cost was measured."""
    sweep = _queue_sweep(records)
    costs = {cost: found for cost in COSTS if (found := _costs(records, cost))} if sweep else {}
    if not costs:
        return None
    drawn, axes = panels(1 + len(costs), 7.2, 3.1)
    draw_sweep(axes[0], sweep)
    grown = [json.loads(record.growth_full)["video_frames"][-1] for record in records if record.growth_full]
    words = "full-size network at 480x864" + (f", at the end of {max(grown)} frames" if grown else "")
    for axis, (cost, values) in zip(axes[1:], costs.items(), strict=True):
        draw_swept(axis, sweep, values, COSTS[cost], words)
    return drawn


def _queue_sweep(records: list[Record]) -> Sweep | None:
    rows = scores(records)
    keys = {key for row in rows for key in row.varied if "queue" in key.rsplit(".", 1)[-1]}
    sweep = find_sweep(rows, keys.pop()) if len(keys) == 1 else None
    return sweep if sweep and len(sweep.values) > 1 else None


def _costs(records: list[Record], cost: str) -> dict[str, float]:
    """By the name of the row; its seeds are one network, measured once."""
    found = {}
    for name, cells in group_rows(records).items():
        grown = [series[-1] for cell in cells if (series := json.loads(cell.growth_full or "{}").get(cost))]
        values = [*grown, *(getattr(cell, INSTEAD[cost]) for cell in cells)]
        known = [value for value in values if value is not None]
        if known:
            found[name] = known[0]
    return found
