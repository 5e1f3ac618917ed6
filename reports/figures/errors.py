"""What every row gets wrong in a sequence: as a sheet of evenly chosen frames, and as a film of all of them."""

import json
import math
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from bench.record import ERROR_COLOURS, Record
from reports.figures import figure
from reports.figures.sheets import FONT_SIZE, GAP, LINE, PAPER, below, beside, label, stack
from reports.files import file_name, located
from reports.rows import group_rows, pictured, succeeded

SHEET_FRAMES = 6
SHEET_HEIGHT = 160  # px, of a frame
FILM_SIZE = (1600, 900)  # px, at most
FILM_FPS = 10  # slow enough to see what happens

Frames = dict[str, Path]  # pictures of a sequence by the names of its frames


@figure("errors_*", "What every row gets wrong in six frames of a sequence")
def error_sheets(records: list[Record], folder: Path) -> dict[str, Image.Image]:
    """Of each pictured sequence: six frames abreast, a row per label (its first seed)."""
    sheets = {}
    for sequence in pictured(records):
        rows = _rows(records, sequence, folder)
        if chosen := _evenly(list(next(iter(rows.values()), {}))):
            panels = {name: _panels([frames[c] for c in chosen]) for name, frames in rows.items()}
            strips = {name: beside(found) for name, found in panels.items()}
            sizes = [panel.width for panel in next(iter(panels.values()))]
            heads = beside([label(name, width) for name, width in zip(chosen, sizes, strict=True)])
            legend = _legend(max(strip.width for strip in strips.values()))
            sheets[sequence] = stack({f"frame of {sequence}": heads} | strips | {" ": legend})
    return sheets


@figure("errors", "What the method gets wrong in six frames of every sequence")
def contact_sheet(records: list[Record], folder: Path) -> Image.Image | None:
    """Six frames of each pictured sequence, a row per sequence, of the only label there is."""
    sequences = pictured(records)
    if len(sequences) < 2 or len(group_rows(succeeded(records))) > 1:
        return None
    strips = {}
    for sequence in sequences:
        frames = [path for row in _rows(records, sequence, folder).values() for path in row.values()]
        if frames:
            strips[sequence] = beside(_panels(_evenly(frames)))
    return stack(strips | {" ": _legend(max(s.width for s in strips.values()))}) if strips else None


def error_films(records: list[Record], folder: Path) -> list[Path]:
    """errors_<sequence>.mp4 of each pictured sequence: a panel per label (its first seed), ten frames a second.

    Without the packages of the extra `video` it says so and writes nothing.
    """
    rows = {sequence: _rows(records, sequence, folder) for sequence in pictured(records)}
    rows = {sequence: found for sequence, found in rows.items() if any(found.values())}
    missing = [name for name in ("imageio", "av") if find_spec(name) is None]
    if rows and missing:
        print(f"no films: {missing[0]} is missing: pip install 'vos-bench[video]'", file=sys.stderr)
        return []
    paths = [Path(folder) / f"errors_{file_name(sequence)}.mp4" for sequence in rows]
    for path, found in zip(paths, rows.values(), strict=True):
        _write_film(path, found)
    return paths


def _rows(records: list[Record], sequence: str, folder: Path) -> dict[str, Frames]:
    """The pictures of each label that has some, of the frames that all of these have."""
    found = {}
    for name, cells in group_rows(succeeded(records)).items():
        places = [json.loads(cell.pictures).get(sequence, "") for cell in cells if cell.pictures]
        place = next((path for each in places if (path := located(each, folder))), None)
        if place:
            found[name] = {path.stem: path for path in sorted(place.glob("*.jpg"))}
    shared = set.intersection(*(set(frames) for frames in found.values())) if found else set()
    return {name: {k: v for k, v in frames.items() if k in shared} for name, frames in found.items()}


def _evenly(items: list) -> list:
    """As many of them as a sheet has frames, from the first to the last; all where there are fewer."""
    chosen = np.linspace(0, len(items) - 1, SHEET_FRAMES).astype(int) if items else []
    return [items[i] for i in dict.fromkeys(chosen)]


def _panels(paths: list[Path]) -> list[Image.Image]:
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


def _write_film(path: Path, rows: dict[str, Frames]) -> None:
    from imageio.v3 import imopen

    with imopen(path, "w", plugin="pyav", options={"movflags": "+faststart"}) as film:
        film.init_video_stream("libx264", fps=FILM_FPS, pixel_format="yuv420p")  # what browsers play
        for picture in _film(rows):
            film.write_frame(picture)


def _film(rows: dict[str, Frames]) -> Iterator[np.ndarray]:
    """uint8 (H, W, 3), both even: the panels in a grid, each below its name, over the legend."""
    names = list(next(iter(rows.values())))
    panel = Image.open(next(iter(rows.values()))[names[0]])
    columns, height = _grid(len(rows), panel)
    width = round(panel.width * height / panel.height)
    across = columns * (width + GAP) - GAP
    legend, titles = _legend(across), {name: label(name, width) for name in rows}
    for frame in names:
        shown = {name: Image.open(frames[frame]).resize((width, height)) for name, frames in rows.items()}
        panels = [below([titles[name], picture]) for name, picture in shown.items()]
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
        sizes[columns] = int(min(across / shape, down, panel.height))
    columns = max(sizes, key=sizes.__getitem__)
    return columns, sizes[columns]
