"""What all plots share: their look, their colours, names beside the ends of lines, and how they are saved."""

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from PIL import Image
from scipy.optimize import isotonic_regression

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
SMALL = 8  # points
INCHES_PER_ROW = 0.35  # room for a name on two lines
FAINT = "0.45"  # grey
FORMATS = {  # without dates and versions: the same figure gives the same bytes
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
WIDE_RANGE = 8  # highest / lowest value from which on a scale is logarithmic
MARKERS_PER_LINE = 8

Drawn = Figure | Image.Image
Colour = str | tuple[float, float, float]
Mark = tuple[Colour, str]  # colour and marker
End = tuple[str, float, Colour]  # name, y and colour of what ends at the right of a panel


@contextmanager
def theme() -> Iterator[None]:
    """seaborn's white grid, with fonts for a figure of a paper; matplotlib's own settings come back after."""
    import seaborn  # two seconds, which only those who plot should wait

    own = {
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same figure on every machine
        "text.parse_math": False,  # a label may hold dollars
        "axes.edgecolor": "0.4",
        "grid.color": "0.9",
        "pdf.fonttype": 42,  # letters stay letters
        "savefig.dpi": 150,
    }
    with rc_context(seaborn.axes_style("whitegrid") | seaborn.plotting_context("paper", 1.1) | own):
        yield


def marks(count: int) -> list[Mark]:
    """Pairs that differ, also for colour-blind readers and, by the marker, in grey."""
    import seaborn

    colours = seaborn.color_palette("colorblind")
    del colours[8]  # a yellow that white paper swallows
    return [(colours[i % len(colours)], MARKERS[i % len(MARKERS)]) for i in range(count)]


def looks(names: Collection[str]) -> dict[str, Mark]:
    """A mark for each."""
    return dict(zip(names, marks(len(names)), strict=True))


def panels(
    count: int, width: float, height: float, columns: int = 1, names: Collection[str] = ()
) -> tuple[Figure, list[Axes]]:
    """Panels of so many inches, in rows of `columns`, and room for a legend of the names below them."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    legend = 0.0
    if names:  # which may wrap
        lines = max(wrapped(name).count("\n") + 1 for name in names)
        legend = 0.1 + (0.07 + 0.13 * lines) * math.ceil(len(names) / _side_by_side(names, width * columns))
    drawn = Figure(figsize=(width * columns, height * rows + legend), layout="constrained")
    return drawn, [drawn.add_subplot(rows, columns, place) for place in range(1, count + 1)]


def draw_line(axis: Axes, line: pd.Series, mark: Mark, *band: pd.Series, **look: Any) -> Line2D:
    """A line over its index, with some markers; band: its lower and its upper edge."""
    shown: dict[str, Any] = {"markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.5, "linewidth": 1.5}
    every = max(1, len(line) // MARKERS_PER_LINE)
    (drawn,) = axis.plot(line, color=mark[0], marker=mark[1], markevery=every, **shown | look)
    if band:
        low, high = band
        axis.fill_between(line.index, low, high, color=mark[0], alpha=0.15, linewidth=0)
    return drawn


def save(figure: Drawn, folder: Path, name: str) -> list[Path]:
    """Write a figure in all formats, one of pixels as png alone; returns the paths."""
    if isinstance(figure, Image.Image):
        figure.save(folder / f"{name}.png")
        return [folder / f"{name}.png"]
    for kind, nothing in FORMATS.items():
        figure.savefig(folder / f"{name}.{kind}", metadata=nothing)
    return [folder / f"{name}.{kind}" for kind in FORMATS]


def wrapped(name: str, width: int = 32) -> str:
    return fill(name, width)


def readable(key: str) -> str:
    """The last part of a config key, in words."""
    return key.rsplit(".", 1)[-1].replace("_", " ")


def explain(axis: Axes, words: str) -> None:
    """Say above a panel, in small print, what its signs mean."""
    axis.set_title(words, fontsize=SMALL, loc="left", color=FAINT)


def explain_all(figure: Figure, words: str, lines: dict[str, Line2D]) -> None:
    """Say above all panels what their signs mean, and under them, where `panels` left room, whose they are."""
    figure.suptitle(words, fontsize=SMALL, color=FAINT)
    figure.legend(
        list(lines.values()),
        [wrapped(name) for name in lines],
        loc="outside lower center",
        ncols=_side_by_side(list(lines), figure.get_figwidth()),
        fontsize=SMALL,
        frameon=False,
    )


def _side_by_side(names: Collection[str], width: float) -> int:
    """How many names, wrapped, a legend of this many inches holds side by side."""
    longest = max(len(line) for name in names for line in wrapped(name).splitlines())
    return min(len(names), max(1, int(width / (0.7 + 0.075 * longest))))


def log_if_wide(axis: Axes, which: str, values: np.ndarray) -> bool:
    """Make the "x" or "y" axis logarithmic, with plain numbers at 1, 2, 5, 10, ..., for positive values that span a
    wide range; returns whether they do. NaN: not measured."""
    wide = bool(np.nanmax(values) > WIDE_RANGE * np.nanmin(values) > 0)
    if wide:
        axis.set(**{f"{which}scale": "log"})
        ticks = getattr(axis, f"{which}axis")
        ticks.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ticks.set_major_formatter("{x:g}")
        ticks.set_minor_locator(NullLocator())
    return wide


def label_ends(axis: Axes, ends: Sequence[End]) -> None:
    """Write (name, y, colour) at the right of the panel, each beside its y; crowded names move apart.

    A thin line in the colour leads from y to the name. Call it last: it needs the final limits.
    """
    if not ends:
        return
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # lays out the panels, whose height decides who is crowded
    height = axis.get_window_extent().height / figure.dpi * 72
    names, heights, colours = zip(*((wrapped(name), y, colour) for name, y, colour in ends), strict=True)
    # Only the y of what the transformation gives is used, and an x in view is safe on every scale.
    points = axis.transData.transform([(axis.get_xlim()[0], y) for y in heights])
    wanted = axis.transAxes.inverted().transform(points)[:, 1]
    sizes = np.array([name.count("\n") + 1 for name in names]) * SMALL * 1.3 / height
    # From the point to the middle of the name's left side (patchA would end it at a frame around the name).
    leader = {"arrowstyle": "-", "linewidth": 1.2, "shrinkA": 3, "shrinkB": 0, "relpos": (0, 0.5), "patchA": None}
    for name, colour, y, place in zip(names, colours, wanted, spread(wanted, sizes), strict=True):
        axis.annotate(
            name,
            xy=(1, y),
            xytext=(18, place),
            xycoords="axes fraction",
            textcoords=("offset points", "axes fraction"),
            va="center",
            fontsize=SMALL,
            arrowprops=leader | {"color": colour},
        )


def finish_costs(axis: Axes, words: str, ends: Sequence[End], ticks: Collection[float] = ()) -> None:
    """What every panel of costs over a number has: its values, a fitting scale, words above, names at the right."""
    if ticks:
        axis.set_xticks(list(ticks), [f"{value:g}" for value in ticks])
        axis.set_xticks([], minor=True)
    if not log_if_wide(axis, "y", np.concatenate([line.get_ydata() for line in axis.lines])):
        axis.set_ylim(bottom=0)
    explain(axis, words)
    label_ends(axis, ends)


def spread(wanted: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Centres in [0, 1] next to the wanted ones (least squares) at which items of these sizes do not overlap.

    Items that do not fit into [0, 1] together stand from 0 on, beyond 1 if need be.
    """
    order = np.argsort(wanted, kind="stable")
    sizes = sizes[order]
    offsets = np.cumsum(sizes) - sizes / 2  # of the centres when all are packed
    # Apart by their sizes = increasing once the offsets are taken away.
    starts = isotonic_regression(wanted[order] - offsets).x
    places = np.empty(len(order))
    places[order] = np.clip(starts, 0, max(0.0, 1 - sizes.sum())) + offsets
    return places
