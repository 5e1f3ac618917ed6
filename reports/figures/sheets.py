"""Pictures put together: side by side, one under another, and with their names."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

GAP = 6  # pixels
FONT_SIZE = 16  # pixels
LINE = 20  # pixels of a line of text
INK, PAPER = "black", "white"


def beside(pictures: Sequence[Image.Image]) -> Image.Image:
    """From left to right, at the top, with gaps between them; they may differ in size."""
    return _joined(pictures, 0)


def below(pictures: Sequence[Image.Image]) -> Image.Image:
    """One under another, at the left, with gaps between them; they may differ in size."""
    return _joined(pictures, 1)


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


def _joined(pictures: Sequence[Image.Image], along: int) -> Image.Image:
    sizes = np.array([picture.size for picture in pictures])
    size = sizes.max(axis=0)
    size[along] = (sizes[:, along] + GAP).sum() - GAP
    sheet, place = Image.new("RGB", (int(size[0]), int(size[1])), PAPER), [0, 0]
    for picture in pictures:
        sheet.paste(picture, tuple(place))
        place[along] += picture.size[along] + GAP
    return sheet
