"""Records as pictures: the masks of every label one under another, and the accuracy chart."""

import math
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image, ImageDraw, ImageFont

from bench.record import Record
from reports.rows import aggregate, group_rows, succeeded

# Okabe and Ito's colours, which stay apart for colour-blind readers; the markers tell them apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
GAP = 6  # pixels
FONT_SIZE = 16  # pixels
INCHES_PER_ROW = 0.35


def overlay_sheet(records: list[Record], folder: Path) -> Path | None:
    """Stack the mask strips, one row per label (its first seed that has one), label at the left.

    Relative overlay paths are looked up in `folder`, then in the working directory. Writes overlays.png;
    returns its path, or None, and writes nothing, when no label has a picture.
    """
    strips = {name: _first_strip(cells, folder) for name, cells in group_rows(records).items()}
    strips = {name: strip for name, strip in strips.items() if strip}
    if not strips:
        return None
    font = ImageFont.load_default(FONT_SIZE)
    margin = max(math.ceil(font.getlength(name)) for name in strips) + 2 * GAP
    width = margin + max(strip.width for strip in strips.values()) + GAP
    height = GAP + sum(_row_height(strip) for strip in strips.values())
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for name, strip in strips.items():
        draw.text((GAP, top + _row_height(strip) // 2), name, fill="black", font=font, anchor="lm")
        sheet.paste(strip, (margin, top))
        top += _row_height(strip)
    path = Path(folder) / "overlays.png"
    sheet.save(path)
    return path


def accuracy_chart(records: list[Record], folder: Path) -> Path | None:
    """J&F of every seed and the mean per label; beside it, where measured, the means against GMACs.

    Writes accuracy.png; returns its path, or None, and writes nothing, when no cell has a J&F.
    """
    rows = aggregate(records)
    if rows["jf_mean"].isna().all():
        return None
    styles = {
        name: (COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)])
        for index, name in enumerate(rows["label"])
    }
    costed = rows.dropna(subset=["jf_mean", "gmacs_full"])
    panels = 1 if costed.empty else 2
    figure = Figure(figsize=(6 * panels, 1.4 + INCHES_PER_ROW * max(len(rows), 5)), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_seeds(axes[0], group_rows(records), rows, styles)
    if panels == 2:
        _draw_costs(axes[1], costed, styles)
    path = Path(folder) / "accuracy.png"
    figure.savefig(path, dpi=150, metadata={"Software": None})  # the version would change the bytes
    return path


def _first_strip(cells: list[Record], folder: Path) -> Image.Image | None:
    for cell in cells:
        for path in (Path(folder) / cell.overlay, Path(cell.overlay)):
            if cell.overlay and path.is_file():
                try:
                    return Image.open(path).convert("RGB")
                except OSError:
                    continue  # a damaged picture is no reason to lose the others
    return None


def _row_height(strip: Image.Image) -> int:
    return max(strip.height, FONT_SIZE) + GAP


def _draw_seeds(axis, cells: dict[str, list[Record]], rows, styles: dict) -> None:
    for row in rows.itertuples():
        scores = [cell.jf_mean for cell in succeeded(cells[row.label]) if cell.jf_mean is not None]
        colour, marker = styles[row.label]
        axis.plot([row.jf_mean] * 2, [row.Index - 0.3, row.Index + 0.3], color="black", linewidth=1.5)
        axis.plot(scores, [row.Index] * len(scores), marker, color=colour, markersize=7, mec="white", mew=0.7)
        if not scores:
            text = "not scored" if row.n else "failed"
            axis.text(0.02, row.Index, text, transform=axis.get_yaxis_transform(), va="center", color="grey")
    axis.set_yticks(range(len(rows)), [_wrapped(name) for name in rows["label"]])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("J&F (%): a mark per seed, a bar at the mean")
    axis.grid(axis="x", alpha=0.3)
    axis.set_axisbelow(True)


def _draw_costs(axis, rows, styles: dict) -> None:
    for row in rows.itertuples():
        colour, marker = styles[row.label]
        axis.plot(row.gmacs_full, row.jf_mean, marker, color=colour, markersize=9, label=_wrapped(row.label))
    low, high = rows["gmacs_full"].min(), rows["gmacs_full"].max()
    if low > 0 and high > 10 * low:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("GMACs of the full-size network (480x864, one object)")
    axis.set_ylabel("J&F of the trained network (%)")
    axis.grid(alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _wrapped(name: str) -> str:
    """A label for matplotlib, which would read $...$ as mathematics."""
    return fill(name, 32).replace("$", r"\$")
