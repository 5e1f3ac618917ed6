"""Sheets and films of errors: what is on them, and what is left out."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from bench.record import ERROR_COLOURS
from reports.figures.errors import contact_sheet, error_films, error_sheets

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0)}


@pytest.fixture
def pictured(make_cell, tmp_path):
    """A cell with pictures of the sequence "bear", all of one colour."""

    def make(label, colour, frames=range(12), size=(36, 24), **fields):
        folder = tmp_path / f"{label}-{colour}"
        folder.mkdir()
        for number in frames:
            Image.new("RGB", size, COLOURS[colour]).save(folder / f"{number:05d}.jpg", quality=95)
        return make_cell(label, 0, 50, pictures=json.dumps({"bear": str(folder)}), **fields)

    return make


def near(picture, colour) -> np.ndarray:
    """Where a uint8 (H, W, 3) picture has this colour, up to what compression changes."""
    return (abs(picture.astype(int) - colour) < 40).all(axis=2)


def test_a_sheet_has_a_row_a_label_and_six_frames_evenly_chosen(pictured, tmp_path):
    records = [pictured("first", "red"), pictured("second", "green")]
    (path,) = error_sheets(records, tmp_path)
    assert path == tmp_path / "errors_bear.png"
    sheet = np.asarray(Image.open(path).convert("RGB"))
    red, green = near(sheet, COLOURS["red"]), near(sheet, COLOURS["green"])
    assert red.sum() == green.sum() == 6 * 160 * 240
    assert red.any(axis=1).nonzero()[0].max() < green.any(axis=1).nonzero()[0].min()
    for colour in ERROR_COLOURS.values():
        assert near(sheet, colour).sum() > 100, "the legend"


def test_short_sequences_show_every_frame_once(pictured, tmp_path):
    (path,) = error_sheets([pictured("a", "red", frames=range(3))], tmp_path)
    assert near(np.asarray(Image.open(path)), COLOURS["red"]).sum() == 3 * 160 * 240


def test_sequences_of_one_method_share_a_sheet_with_a_row_each(make_cell, tmp_path):
    folders = {}
    for name, colour in {"bear": "red", "camel": "green"}.items():
        folders[name] = str(tmp_path / name)
        (tmp_path / name).mkdir()
        for number in range(12):
            Image.new("RGB", (36, 24), COLOURS[colour]).save(tmp_path / name / f"{number:05d}.jpg", quality=95)
    record = make_cell("one", 0, 50, pictures=json.dumps(folders))
    (path,) = contact_sheet([record], tmp_path)
    sheet = np.asarray(Image.open(path).convert("RGB"))
    assert [near(sheet, colour).sum() for colour in COLOURS.values()] == [6 * 160 * 240] * 2
    assert contact_sheet([record, make_cell("another", 0, 50)], tmp_path) == []


def test_a_film_shows_all_labels_in_every_frame_and_plays_in_browsers(pictured, tmp_path):
    av = pytest.importorskip("av")
    pytest.importorskip("imageio")
    (path,) = error_films([pictured("first", "red"), pictured("second", "green")], tmp_path)
    with av.open(str(path)) as film:
        context = film.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(pictures) == 12
    for picture in pictures:
        assert all(near(picture, colour).sum() > 0.9 * 36 * 24 for colour in COLOURS.values())


def test_only_frames_that_all_labels_have_are_shown(pictured, tmp_path):
    av = pytest.importorskip("av")
    pytest.importorskip("imageio")
    records = [pictured("first", "red", range(8)), pictured("second", "green", range(5, 12))]
    (path,) = error_films(records, tmp_path)
    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 3


def test_without_pictures_nothing_is_written(make_cell, pictured, tmp_path):
    gone = make_cell("gone", 0, 50, pictures=json.dumps({"bear": str(tmp_path / "nowhere")}))
    failed = pictured("failed", "red", status="failed: killed")
    for records in ([gone], [failed], [make_cell("none", 0, 50)]):
        assert error_sheets(records, tmp_path) == error_films(records, tmp_path) == []


def test_without_the_video_packages_there_is_a_sheet_and_a_hint(pictured, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    records = [pictured("first", "red")]
    assert error_films(records, tmp_path) == []
    assert "pip install 'vos-bench[video]'" in capsys.readouterr().err
    assert len(error_sheets(records, tmp_path)) == 1
