"""What every row gets wrong in a sequence: as a sheet of evenly chosen frames, and as a film of all of them."""

import json
import math
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.record import ERROR_COLOURS, Record
from reports.files import file_name, located_folder
from reports.pictures import FONT_SIZE, GAP, stack
from reports.rows import group_rows, pictured, succeeded

SHEET_FRAMES = 6
SHEET_HEIGHT = 160  # px, of a frame
FILM_SIZE = (1600, 900)  # px, at most
FILM_FPS = 10  # slow enough to see what happens
CAPTION = FONT_SIZE + GAP  # px, of a line of text
INK, PAPER = "black", "white"

Frames = dict[str, Path]  # pictures of a sequence by the names of its frames


def error_sheets(records: list[Record], folder: Path) -> list[Path]:
    """errors_<sequence>.png of each pictured sequence: six frames abreast, a row per label (its first seed)."""
    paths = []
    for sequence in pictured(records):
        rows = _rows(records, sequence, folder)
        names = list(next(iter(rows.values()), {}))
        chosen = _evenly(names)
        strips = {name: _strip([frames[c] for c in chosen]) for name, frames in rows.items() if chosen}
        if strips:
            width = max(strip.width for strip in strips.values())
            head = {f"frame of {sequence}": _heads(chosen, width)}
            path = Path(folder) / f"errors_{file_name(sequence)}.png"
            paths += stack(head | strips | {" ": _legend(width)}, path)
    return paths


def contact_sheet(records: list[Record], folder: Path) -> list[Path]:
    """errors.png: six frames of each pictured sequence, a row per sequence, of the only label there is."""
    sequences = pictured(records)
    if len(sequences) < 2 or len(group_rows(succeeded(records))) > 1:
        return []
    strips = {}
    for sequence in sequences:
        frames = [path for row in _rows(records, sequence, folder).values() for path in row.values()]
        if frames:
            strips[sequence] = _strip(_evenly(frames))
    if not strips:
        return []
    width = max(strip.width for strip in strips.values())
    return stack(strips | {" ": _legend(width)}, Path(folder) / "errors.png")


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
        place = next((path for each in places if (path := located_folder(each, folder))), None)
        if place:
            found[name] = {path.stem: path for path in sorted(place.glob("*.jpg"))}
    shared = set.intersection(*(set(frames) for frames in found.values())) if found else set()
    return {name: {k: v for k, v in frames.items() if k in shared} for name, frames in found.items()}


def _evenly(items: list) -> list:
    """As many of them as a sheet has frames, from the first to the last; all where there are fewer."""
    chosen = np.linspace(0, len(items) - 1, SHEET_FRAMES).astype(int) if items else []
    return [items[i] for i in dict.fromkeys(chosen)]


def _strip(paths: list[Path]) -> Image.Image:
    """Frames side by side."""
    panels = [_opened(path) for path in paths]
    panels = [panel.resize((_width(panel, SHEET_HEIGHT), SHEET_HEIGHT)) for panel in panels]
    strip = Image.new("RGB", (sum(panel.width + GAP for panel in panels) - GAP, SHEET_HEIGHT), PAPER)
    left = 0
    for panel in panels:
        strip.paste(panel, (left, 0))
        left += panel.width + GAP
    return strip


def _heads(names: list[str], width: int) -> Image.Image:
    """The names of the frames, each above its own."""
    head = Image.new("RGB", (width, FONT_SIZE), PAPER)
    draw = ImageDraw.Draw(head)
    for place, name in enumerate(names):
        middle = (place + 0.5) * width / len(names)
        draw.text((middle, FONT_SIZE / 2), name, fill=INK, font=_font(), anchor="mm")
    return head


def _legend(width: int) -> Image.Image:
    """What the colours mean, in one line, or several where it is narrow."""
    font, square = _font(), FONT_SIZE
    sizes = {name: square + GAP + math.ceil(font.getlength(name)) + 3 * GAP for name in ERROR_COLOURS}
    places, left, top = {}, 0, 0
    for name, size in sizes.items():
        if left and left + size > width:
            left, top = 0, top + CAPTION
        places[name] = (left, top)
        left += size
    legend = Image.new("RGB", (width, top + CAPTION), PAPER)
    draw = ImageDraw.Draw(legend)
    for name, (x, y) in places.items():
        draw.rectangle((x, y, x + square, y + square), fill=ERROR_COLOURS[name], outline="grey")
        draw.text((x + square + GAP, y + square / 2), name, fill=INK, font=font, anchor="lm")
    return legend


def _write_film(path: Path, rows: dict[str, Frames]) -> None:
    from imageio.v3 import imopen

    with imopen(path, "w", plugin="pyav", options={"movflags": "+faststart"}) as film:
        film.init_video_stream("libx264", fps=FILM_FPS, pixel_format="yuv420p")  # what browsers play
        for picture in _film(rows):
            film.write_frame(picture)


def _film(rows: dict[str, Frames]) -> Iterator[np.ndarray]:
    """uint8 (H, W, 3), both even: the panels in a grid, each below its name, over the legend."""
    names = list(next(iter(rows.values())))
    panel = _opened(rows[next(iter(rows))][names[0]])
    columns, height = _grid(len(rows), panel)
    width = _width(panel, height)
    lines = math.ceil(len(rows) / columns)
    legend = _legend(columns * (width + GAP))
    size = (columns * (width + GAP) + GAP, lines * (height + CAPTION) + CAPTION + legend.height + GAP)
    for frame in names:
        picture = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), PAPER)
        draw = ImageDraw.Draw(picture)
        for place, (name, frames) in enumerate(rows.items()):
            line, column = divmod(place, columns)
            left, top = GAP + column * (width + GAP), line * (height + CAPTION)
            draw.text((left, top + CAPTION / 2), _fitted(name, width), fill=INK, font=_font(), anchor="lm")
            picture.paste(_opened(frames[frame]).resize((width, height)), (left, top + CAPTION))
        top = lines * (height + CAPTION)
        draw.text((GAP, top + CAPTION / 2), f"frame {frame}", fill=INK, font=_font(), anchor="lm")
        picture.paste(legend, (GAP, top + CAPTION))
        yield np.asarray(picture)


def _grid(count: int, panel: Image.Image) -> tuple[int, int]:
    """Columns, and px of a panel's height, that show `count` of these as large as fits, but not enlarged."""
    shape, sizes = panel.width / panel.height, {}
    for columns in range(1, count + 1):
        lines = math.ceil(count / columns)
        across = (FILM_SIZE[0] - GAP) / columns - GAP
        down = (FILM_SIZE[1] - 3 * CAPTION) / lines - CAPTION
        sizes[columns] = int(min(across / shape, down, panel.height))
    columns = max(sizes, key=sizes.__getitem__)
    return columns, sizes[columns]


def _fitted(name: str, width: int) -> str:
    """The name, cut where it is wider than so many px."""
    if _font().getlength(name) <= width:
        return name
    while name and _font().getlength(f"{name}…") > width:
        name = name[:-1]
    return f"{name}…"


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(FONT_SIZE)


def _opened(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def _width(panel: Image.Image, height: int) -> int:
    return round(panel.width * height / panel.height)
