"""The sheets of picture strips: what is on them, and what is left out."""

import numpy as np
import pytest
from PIL import Image

from reports.figures.overlays import overlay_sheet, sampling_sheet

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def strips(tmp_path):
    """Paths of one-colour strips of different widths, by colour."""
    for width, (name, colour) in enumerate(COLOURS.items(), start=3):
        Image.new("RGB", (width * 20, 30), colour).save(tmp_path / f"{name}.png")
    return {name: str(tmp_path / f"{name}.png") for name in COLOURS}


def area(picture, colour) -> tuple[int, int, int]:
    """Pixels of a colour in an RGB picture, and the first row and column that have it."""
    rows, columns = np.nonzero((np.asarray(Image.open(picture)) == COLOURS[colour]).all(axis=2))
    return (len(rows), rows.min(initial=10**6), columns.min(initial=10**6))


def test_strips_are_stacked_in_order_without_being_scaled(make_cell, strips, tmp_path):
    records = [
        make_cell("first", 0, 50, overlay=strips["red"]),
        make_cell("first", 1, 50, overlay=strips["green"]),  # not the first seed: left out
        make_cell("a rather long second label", 0, 50, overlay="blue.png"),  # relative to the folder
    ]
    (path,) = overlay_sheet(records, tmp_path)
    assert path == tmp_path / "overlays.png"
    red, blue = area(path, "red"), area(path, "blue")
    assert (red[0], blue[0], area(path, "green")[0]) == (60 * 30, 100 * 30, 0)
    assert red[1] + 30 <= blue[1], "one under another"
    assert red[2] == blue[2] > 100, "flush left, beside the labels"
    label = np.asarray(Image.open(path).convert("L"))[red[1] : red[1] + 30, : red[2]]
    assert label.min() < 128, "the label is written"


def test_missing_and_damaged_strips_are_skipped(make_cell, strips, tmp_path):
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    records = [
        make_cell("none", 0, 50),
        make_cell("gone", 0, 50, overlay=str(tmp_path / "gone.png")),
        make_cell("second seed has one", 0, 50, overlay=str(tmp_path / "damaged.png")),
        make_cell("second seed has one", 1, 50, overlay=strips["green"]),
    ]
    assert area(*overlay_sheet(records, tmp_path), "green")[0] == 80 * 30
    assert overlay_sheet(records[:2], tmp_path / "nowhere") == []


def test_the_sampled_pixels_have_a_sheet_of_their_own(make_cell, strips, tmp_path):
    records = [
        make_cell("teacher", 0, 50, overlay=strips["blue"]),
        make_cell("random", 0, 50, overlay=strips["blue"], sampling_picture=strips["red"]),
        make_cell("boundary", 0, 50, overlay=strips["blue"], sampling_picture=strips["green"]),
    ]
    (path,) = sampling_sheet(records, tmp_path)
    assert path == tmp_path / "sampling.png"
    assert [area(path, colour)[0] for colour in COLOURS] == [60 * 30, 80 * 30, 0]


def test_sampling_that_does_not_differ_is_not_shown(make_cell, strips, tmp_path):
    Image.open(strips["red"]).save(tmp_path / "copy.png", compress_level=1)
    records = [
        make_cell("a", 0, 50, sampling_picture="red.png"),
        make_cell("b", 0, 50, sampling_picture="copy.png"),
    ]
    assert sampling_sheet(records, tmp_path) == sampling_sheet(records[:1], tmp_path) == []
    assert not (tmp_path / "sampling.png").exists()
