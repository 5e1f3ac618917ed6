"""Strips of pictures of all labels on one sheet: the masks, and the pixels that the losses compare."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from bench.record import Record
from reports.figures import figure
from reports.rows import group_rows, located

GAP = 6  # pixels
FONT_SIZE = 16  # pixels
LINE = 20  # pixels of a line of text
INK, PAPER = "black", "white"


@figure("overlays", "Masks over frames of one video")
def overlay_sheet(records: list[Record], folder: Path) -> Image.Image | None:
    """The mask strips, one row per label (its first seed that has one); None when no label has a picture.

    Relative paths are looked up in `folder`, then in the working directory.
    """
    strips = _strips(records, folder, "overlay")
    return stack(strips) if strips else None


@figure("sampling", "Pixels that the representation loss compares")
def sampling_sheet(records: list[Record], folder: Path) -> Image.Image | None:
    """The strips that show the sampled pixels, as in `overlay_sheet`; None unless two labels differ in them."""
    strips = _strips(records, folder, "sampling_picture")
    different = {(strip.size, strip.tobytes()) for strip in strips.values()}
    return stack(strips) if len(different) > 1 else None


def _strips(records: list[Record], folder: Path, field: str) -> dict[str, Image.Image]:
    """The pictures of the labels that have one."""
    found = {}
    for name, cells in group_rows(records).items():
        for path in filter(None, (located(getattr(cell, field), folder) for cell in cells)):
            try:
                found[name] = Image.open(path).convert("RGB")
                break
            except OSError:
                continue  # a damaged picture is no reason to lose the others
    return found


def joined(pictures: Sequence[Image.Image], along: int) -> Image.Image:
    """Pictures that may differ in size, with gaps: from left to right, at the top (0), or down, at the left (1)."""
    sizes = np.array([picture.size for picture in pictures])
    size = sizes.max(axis=0)
    size[along] = (sizes[:, along] + GAP).sum() - GAP
    sheet, place = Image.new("RGB", (int(size[0]), int(size[1])), PAPER), [0, 0]
    for picture in pictures:
        sheet.paste(picture, (place[0], place[1]))
        place[along] += picture.size[along] + GAP
    return sheet


beside, below = partial(joined, along=0), partial(joined, along=1)


def label(text: str, width: int | None = None, height: int = LINE) -> Image.Image:
    """A line of text at the left of a picture of this size, cut where it is longer; None: as wide as the text."""
    font = ImageFont.load_default(FONT_SIZE)
    picture = Image.new("RGB", (math.ceil(font.getlength(text)) if width is None else width, height), PAPER)
    ImageDraw.Draw(picture).text((0, height / 2), text, fill=INK, font=font, anchor="lm")
    return picture


def stack(strips: dict[str, Image.Image]) -> Image.Image:
    """The strips, one under another, each with its name at the left."""
    margin = max(label(name).width for name in strips) + GAP
    rows = [beside([label(name, margin, max(strip.height, LINE)), strip]) for name, strip in strips.items()]
    return ImageOps.expand(below(rows), GAP, PAPER)
