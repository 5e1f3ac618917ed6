"""What job=measure timed: latency against the length of the video and against the number of objects."""

import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures.style import explain, label_ends, log_if_wide, marks, save, theme

PANELS = {  # key in "sweep" -> (key of its x values, label of the axis)
    "length": ("video_frames", "length of the video (frames, log scale)"),
    "objects": ("objects", "objects"),
}


def measure_chart(folder: Path) -> list[Path]:
    """Median latency of the protocol `core`, a line per method, from FOLDER/measure.json.

    Writes measure.png and measure.pdf; nothing, and returns [], when no method has such times.
    """
    content = json.loads((folder / "measure.json").read_text(encoding="utf-8"))
    sweeps = {name: found["sweep"] for name, found in content["methods"].items() if found.get("sweep")}
    if not sweeps:
        return []
    settings = content["settings"]
    words = f"core, {settings['height']}x{settings['width']}, {content['device']}"
    with theme():
        figure = Figure(figsize=(7.2, 6.4), layout="constrained")
        for axis, (panel, (key, label)) in zip(figure.subplots(len(PANELS), 1), PANELS.items(), strict=True):
            lines = {name: (sweep[panel][key], sweep[panel]["core_ms"]) for name, sweep in sweeps.items()}
            axis.set(xlabel=label, ylabel="latency of a frame (ms)")
            if panel == "length":
                axis.set_xscale("log")
            _draw(axis, lines, words)
        return save(figure, folder, "measure")


def _draw(axis: Axes, lines: dict[str, tuple[list[float], list[float]]], words: str) -> None:
    ends = []
    for (name, (x, y)), (colour, marker) in zip(lines.items(), marks(len(lines)), strict=True):
        axis.plot(x, y, color=colour, marker=marker, linewidth=1.8, markersize=6, markeredgecolor="white")
        ends.append((name, y[-1], colour))
    places = sorted({value for x, _ in lines.values() for value in x})
    axis.set_xticks(places, [f"{value:g}" for value in places])
    axis.set_xticks([], minor=True)
    if not log_if_wide(axis, "y", np.array([value for _, y in lines.values() for value in y])):
        axis.set_ylim(bottom=0)
    explain(axis, words)
    label_ends(axis, ends)
