"""Picture strips of all labels on one sheet: the masks, and the pixels that the losses compare."""

from pathlib import Path

from PIL import Image

from bench.record import Record
from reports.figures import figure
from reports.figures.sheets import stack
from reports.files import located
from reports.rows import group_rows


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
