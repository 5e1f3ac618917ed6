"""The pictures: what is on them, and that they do not change from run to run."""

import numpy as np
import pytest
from PIL import Image

from reports.pictures import accuracy_chart, overlay_sheet

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
    path = overlay_sheet(records, tmp_path)
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
    assert area(overlay_sheet(records, tmp_path), "green")[0] == 80 * 30
    assert overlay_sheet(records[:2], tmp_path / "nowhere") is None


def test_the_chart_has_a_second_panel_where_macs_were_measured(records, make_cell, tmp_path):
    both = Image.open(accuracy_chart(records, tmp_path))
    alone = Image.open(accuracy_chart([make_cell("plain", 0, 50, gmacs_full=None)], tmp_path))
    assert both.width == 2 * alone.width


def test_the_chart_shows_scores_and_survives_failures_and_odd_labels(make_cell, make_failed_cell, tmp_path):
    records = [
        make_cell("costs $5 to $6 and a label that is far too long for a single line", 0, 50),
        make_cell("_hidden", 0, 51, gmacs_full=0.0),
        make_failed_cell("broken", 0, "killed"),
    ]
    picture = np.asarray(Image.open(accuracy_chart(records, tmp_path)).convert("RGB")).astype(int)
    blue, orange = (
        (abs(picture - colour).sum(axis=2) < 10).sum() for colour in ((0, 114, 178), (213, 94, 0))
    )
    assert blue > 100
    assert orange > 100


def test_without_scores_there_is_no_chart(make_failed_cell, tmp_path):
    assert accuracy_chart([make_failed_cell("broken", 0, "killed")], tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_the_same_records_give_the_same_bytes(records, tmp_path):
    first = accuracy_chart(records, tmp_path).read_bytes()
    assert accuracy_chart(records, tmp_path).read_bytes() == first
    assert b"Software" not in first
    assert b"tIME" not in first
