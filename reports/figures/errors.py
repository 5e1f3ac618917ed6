"""What every row gets wrong in a sequence: as a sheet of evenly chosen frames, and as a film of all of them."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from bench.record import ERROR_COLOURS, Record
from reports.figures import figure
from reports.figures.overlays import FONT_SIZE, GAP, LINE, PAPER, below, beside, label, stack
from reports.rows import group_rows, located, pictured, succeeded
from reports.texts import file_name

SHEET_FRAMES = 6
SHEET_HEIGHT = 160  # px, of a frame
FILM_SIZE = (1600, 900)  # px, at most
FILM_FPS = 10  # slow enough to see what happens


@figure("errors_*", "What every row gets wrong in six frames of a sequence")
def error_sheets(records: list[Record], folder: Path) -> dict[str, Image.Image]:
    """Of each pictured sequence: six frames abreast, a row per label (its first seed)."""
    sheets = {}
    for sequence, frames in _pictures(records, folder).items():
        chosen = _evenly(frames)
        panels = {name: _panels(chosen[name]) for name in chosen}
        strips = {name: beside(found) for name, found in panels.items()}
        sizes = [panel.width for panel in next(iter(panels.values()))]
        heads = beside([label(name, width) for name, width in zip(chosen.index, sizes, strict=True)])
        legend = _legend(max(strip.width for strip in strips.values()))
        sheets[sequence] = stack({f"frame of {sequence}": heads} | strips | {" ": legend})
    return sheets


@figure("errors", "What the method gets wrong in six frames of every sequence")
def contact_sheet(records: list[Record], folder: Path) -> Image.Image | None:
    """Six frames of each pictured sequence, a row per sequence, of the only label there is."""
    if len(pictured(records)) < 2 or len(group_rows(succeeded(records))) > 1:
        return None
    found = _pictures(records, folder)
    strips = {sequence: beside(_panels(_evenly(frames).iloc[:, 0])) for sequence, frames in found.items()}
    return stack(strips | {" ": _legend(max(s.width for s in strips.values()))}) if strips else None


def error_films(records: list[Record], folder: Path) -> list[Path]:
    """errors_<sequence>.mp4 of each pictured sequence: a panel per label (its first seed), ten frames a second.

    Without the packages of the extra `video` it says so and writes nothing.
    """
    found = _pictures(records, folder)
    missing = [name for name in ("imageio", "av") if find_spec(name) is None]
    if found and missing:
        print(f"no films: {missing[0]} is missing: pip install 'vos-bench[video]'", file=sys.stderr)
        return []
    paths = {Path(folder) / f"errors_{file_name(sequence)}.mp4": frames for sequence, frames in found.items()}
    for path, frames in paths.items():
        from imageio.v3 import imopen

        options = {"movflags": "+faststart"}
        with imopen(path, "w", plugin="pyav", options=options) as film:  # type: ignore[call-overload]
            film.init_video_stream("libx264", fps=FILM_FPS, pixel_format="yuv420p")  # what browsers play
            for picture in _film(frames):
                film.write_frame(picture)
    return list(paths)


def _pictures(records: list[Record], folder: Path) -> dict[str, pd.DataFrame]:
    """Files by sequence: a column per label that has some, a row per frame that all of these have."""
    found = {}
    for sequence in pictured(records):
        columns = {}
        for name, cells in group_rows(succeeded(records)).items():
            places = (located(json.loads(c.pictures).get(sequence, ""), folder) for c in cells if c.pictures)
            if place := next(filter(None, places), None):
                columns[name] = {path.stem: path for path in place.glob("*.jpg")}
        found[sequence] = pd.DataFrame(columns).dropna().sort_index()
    return {sequence: frames for sequence, frames in found.items() if len(frames)}


def _evenly(frames: pd.DataFrame) -> pd.DataFrame:
    """As many of them as a sheet has frames, from the first to the last; all where there are fewer."""
    return frames.iloc[np.unique(np.linspace(0, len(frames) - 1, SHEET_FRAMES).astype(int))]


def _panels(paths: Iterable[Path]) -> list[Image.Image]:
    return [ImageOps.contain(Image.open(path).convert("RGB"), (10**6, SHEET_HEIGHT)) for path in paths]


def _legend(width: int) -> Image.Image:
    """What the colours mean, in one line, or several where it is narrow."""
    lines: list[list[Image.Image]] = [[]]
    for name, colour in ERROR_COLOURS.items():
        square = ImageOps.expand(Image.new("RGB", (FONT_SIZE - 2, FONT_SIZE - 2), colour), 1, "grey")
        entry = beside([square, label(name), label("  ")])
        if lines[-1] and beside([*lines[-1], entry]).width > width:
            lines.append([])
        lines[-1].append(entry)
    return below([beside(line) for line in lines])


def _film(frames: pd.DataFrame) -> Iterator[np.ndarray]:
    """uint8 (H, W, 3), both even: the panels in a grid, each below its name, over the legend."""
    panel = Image.open(frames.iloc[0, 0])
    columns, height = _grid(len(frames.columns), panel)
    width = max(1, round(panel.width * height / panel.height))
    across = columns * (width + GAP) - GAP
    legend, titles = _legend(across), [label(name, width) for name in frames]
    for frame, paths in zip(frames.index, frames.to_numpy(), strict=True):
        pictures = [Image.open(path).resize((width, height)) for path in paths]
        panels = [below(pair) for pair in zip(titles, pictures, strict=True)]
        lines = [beside(panels[start : start + columns]) for start in range(0, len(panels), columns)]
        picture = below([*lines, label(f"frame {frame}", across), legend])
        odd = picture.width % 2, picture.height % 2
        yield np.asarray(ImageOps.expand(picture, (GAP, GAP, GAP + odd[0], GAP + odd[1]), PAPER))


def _grid(count: int, panel: Image.Image) -> tuple[int, int]:
    """Columns, and px of a panel's height, that show `count` of these as large as fits, but not enlarged."""
    shape, sizes = panel.width / panel.height, {}
    for columns in range(1, count + 1):
        lines = math.ceil(count / columns)
        across = (FILM_SIZE[0] - GAP) / columns - GAP
        down = (FILM_SIZE[1] - 4 * LINE) / lines - LINE - 2 * GAP
        sizes[columns] = max(1, int(min(across / shape, down, panel.height)))
    columns = max(sizes, key=sizes.__getitem__)
    return columns, sizes[columns]
