"""The table of figures: each has a caption, and a new file is a new figure."""

import sys

import pytest
from PIL import Image

import reports.figures
from reports.figures import FOUND, captions, figures, write_figures
from reports.report import adopt_figures
from reports.results import Result

MINE = """
from reports.figures import figure
from reports.figures.style import panels


@figure("mine", "J&F of the first cell")
def my_chart(records, folder):
    drawn, (axis,) = panels(1, 3, 2)
    axis.bar([0], [records[0].jf_mean])
    return drawn
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A file beside those of reports/figures."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "my_figure.py").write_text(MINE)
    monkeypatch.setattr(reports.figures, "__path__", [*reports.figures.__path__, str(tmp_path / "source")])
    monkeypatch.setattr(reports.figures, "FOUND", dict(FOUND))
    yield
    sys.modules.pop("reports.figures.my_figure", None)


def test_every_figure_has_a_caption_of_its_own():
    table = figures()
    assert len(table) == len({entry.caption for entry in table}) > 15
    assert all(entry.caption and not entry.caption.endswith(".") for entry in table)


def test_a_new_file_is_drawn_and_shown_with_its_caption(mine, records, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    written = write_figures(records, out)
    assert {out / "mine.png", out / "mine.pdf"} <= set(written)
    assert "J&F of the first cell\n\n![J&F of the first cell](<mine.png>)" in (out / "figures.md").read_text()

    told = Result("x", "ablate", "x", "", "", "", "x", tmp_path / "gone", records)
    adopted = adopt_figures(told, tmp_path / "report")
    assert "J&F of the first cell" in adopted.values(), "job=report draws it, too"


def test_the_captions_of_many_sequences_name_each(tmp_path):
    paths = [tmp_path / name for name in ("own.svg", "errors.png", "over_time_bear.png", "accuracy.png")]
    assert list(captions(paths).items()) == [
        (paths[3], "J&F of every row: seeds, mean and 95 % interval"),
        (paths[1], "What the method gets wrong in six frames of every sequence"),
        (paths[2], "J and F of every judged frame: where objects are lost, and found again: bear"),
        (paths[0], "own"),
    ]


def test_pixels_are_written_as_png_alone(make_cell, tmp_path):
    Image.new("RGB", (30, 20)).save(tmp_path / "strip.png")
    written = write_figures([make_cell("a", 0, 0.0, jf_mean=None, overlay="strip.png")], tmp_path)
    assert [path.name for path in written] == ["overlays.png", "figures.md"]
