"""What a longer queue of remembered frames brings, and what it costs."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from bench.record import Record
from reports.figures.curves import Sweep, draw_sweep, draw_swept, find_sweep
from reports.figures.scores import scores
from reports.figures.style import explain, save, theme
from reports.rows import group_rows

COSTS = {  # key in `growth_full` -> (field of a record that stands in for it, label of the axis)
    "latency_ms": ("latency_ms_median_full", "latency of a frame (ms)"),
    "memory_mb_peak": ("memory_mb_peak_full", "peak memory (MiB)"),
}


def queue_chart(records: list[Record], folder: Path) -> list[Path]:
    """J&F, latency and peak memory against the length of the queue, one under another.

    The costs are those at the end of the longest video that was measured. Writes queue.png and queue.pdf;
    nothing, and returns [], unless one varied key is a queue's length and a cost was measured.
    """
    sweep = _queue_sweep(records)
    panels = {cost: found for cost in COSTS if (found := _costs(records, cost))} if sweep else {}
    if not panels:
        return []
    with theme():
        figure = Figure(figsize=(7.2, 3.1 * (1 + len(panels))), layout="constrained")
        axes = figure.subplots(1 + len(panels), 1)
        draw_sweep(axes[0], sweep)
        for axis, (cost, values) in zip(axes[1:], panels.items(), strict=True):
            draw_swept(axis, sweep, values, COSTS[cost][1])
            explain(axis, _explained(records))
        return save(figure, folder, "queue")


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
        values = [*grown, *(getattr(cell, COSTS[cost][0]) for cell in cells)]
        known = [value for value in values if value is not None]
        if known:
            found[name] = known[0]
    return found


def _explained(records: list[Record]) -> str:
    grown = [json.loads(record.growth_full)["video_frames"][-1] for record in records if record.growth_full]
    where = f", at the end of {max(grown)} frames" if grown else ""
    return f"full-size network at 480x864{where}"
