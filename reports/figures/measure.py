"""What job=measure timed: latency against the length of the video and against the number of objects."""

import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import draw_line, finish_costs, looks, panels

PANELS = {  # key in "sweep" -> (key of its x values, label of the axis)
    "length": ("video_frames", "length of the video (frames, log scale)"),
    "objects": ("objects", "objects"),
}


@figure("measure", "Latency against the length of the video and the number of objects")
def measure_chart(records: list[Record], folder: Path) -> Figure | None:
    """Median latency of the protocol `core`, a line per method, from FOLDER/measure.json; None: there is none."""
    if not (folder / "measure.json").is_file():
        return None
    content = json.loads((folder / "measure.json").read_text(encoding="utf-8"))
    sweeps = {name: found["sweep"] for name, found in content["methods"].items() if found.get("sweep")}
    if not sweeps:
        return None
    settings = content["settings"]
    words = f"core, {settings['height']}x{settings['width']}, {content['device']}"
    drawn, axes = panels(len(PANELS), 7.2, 3.2)
    for axis, (panel, (key, label)) in zip(axes, PANELS.items(), strict=True):
        lines = {name: (sweep[panel][key], sweep[panel]["core_ms"]) for name, sweep in sweeps.items()}
        axis.set(xlabel=label, ylabel="latency of a frame (ms)")
        if panel == "length":
            axis.set_xscale("log")
        _draw(axis, lines, words)
    return drawn


def _draw(axis: Axes, lines: dict[str, tuple[list[float], list[float]]], words: str) -> None:
    styles = looks(lines)
    for name, (x, y) in lines.items():
        draw_line(axis, x, y, styles[name])
    ends = [(name, y[-1], styles[name][0]) for name, (_, y) in lines.items()]
    finish_costs(axis, words, ends, sorted({value for x, _ in lines.values() for value in x}))
