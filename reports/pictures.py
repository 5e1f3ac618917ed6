"""Picture strips of all labels on one sheet: the masks, and the pixels that the losses compare."""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bench.record import Record
from reports.files import located
from reports.rows import group_rows

GAP = 6  # pixels
FONT_SIZE = 16  # pixels


def overlay_sheet(records: list[Record], folder: Path) -> list[Path]:
    """Stack the mask strips, one row per label (its first seed that has one), label at the left.

    Relative paths are looked up in `folder`, then in the working directory. Writes overlays.png; nothing,
    and returns [], when no label has a picture.
    """
    strips = _strips(records, folder, "overlay")
    return stack(strips, Path(folder) / "overlays.png") if strips else []


def sampling_sheet(records: list[Record], folder: Path) -> list[Path]:
    """Stack the strips that show the sampled pixels, as `overlay_sheet` does, into sampling.png.

    Writes nothing, and returns [], unless two labels have different pictures.
    """
    strips = _strips(records, folder, "sampling_picture")
    different = {(strip.size, strip.tobytes()) for strip in strips.values()}
    return stack(strips, Path(folder) / "sampling.png") if len(different) > 1 else []


def _strips(records: list[Record], folder: Path, field: str) -> dict[str, Image.Image]:
    """The pictures of the labels that have one."""
    found = {
        name: _first_picture([getattr(cell, field) for cell in cells], folder)
        for name, cells in group_rows(records).items()
    }
    return {name: strip for name, strip in found.items() if strip}


def _first_picture(names: list[str], folder: Path) -> Image.Image | None:
    for name in names:
        path = located(name, folder)
        try:
            if path:
                return Image.open(path).convert("RGB")
        except OSError:
            continue  # a damaged picture is no reason to lose the others
    return None


def stack(strips: dict[str, Image.Image], path: Path) -> list[Path]:
    """Write the strips, one under another, each with its name at the left; strips may differ in size."""
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
    sheet.save(path)
    return [path]


def _row_height(strip: Image.Image) -> int:
    return max(strip.height, FONT_SIZE) + GAP
