"""What is drawn of a finished cell: the colours of its errors, and which sequences."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.record import ERROR_COLOURS
from bench.score.cell_pictures import choose_sequences, draw_cell
from bench.score.pictures import errors, overlay
from bench.system.errors import ConfigError
from datasets.davis import open_davis
from datasets.images import read_ids, write_mask
from reports.__main__ import main as report

MISSED, FALSE_POSITIVE, OTHER, BOUNDARY = (
    np.array(ERROR_COLOURS[name]) for name in ("missed", "false positive", "another object", "true boundary")
)


def mask(*boxes) -> np.ndarray:
    """Objects 1, 2, ... where (top, bottom, left, right) say."""
    found = np.zeros((240, 300), np.uint8)
    for object_id, (top, bottom, left, right) in enumerate(boxes, start=1):
        found[top:bottom, left:right] = object_id
    return found


def coloured(picture, y, x, colour) -> bool:
    """A quarter of what is seen is the frame."""
    return bool(np.abs(picture[y, x] - 0.75 * colour).max() <= 0.25 * 150 + 1)


def test_errors_have_their_colours_and_the_rest_is_grey():
    frame = np.random.default_rng(0).integers(0, 256, (240, 300, 3), np.uint8)
    truth = mask((20, 120, 20, 120), (20, 120, 200, 280))
    prediction = mask((20, 120, 60, 220), (140, 200, 200, 280))
    picture = errors(frame, prediction, truth).astype(int)
    assert picture.shape == (240, 300, 3)
    assert coloured(picture, 60, 40, MISSED), "object 1, left of its prediction"
    assert coloured(picture, 60, 150, FALSE_POSITIVE), "between the objects"
    assert coloured(picture, 60, 210, OTHER), "object 2, predicted as object 1"
    assert coloured(picture, 60, 250, MISSED)
    assert coloured(picture, 170, 250, FALSE_POSITIVE)
    assert (picture[20:120, 20] == BOUNDARY).all()
    right, background = picture[60, 90], picture[220, 20]
    assert np.ptp(right) == np.ptp(background) == 0, "grey"
    assert right[0] > 100 and background[0] < 160


def test_void_shows_no_error():
    truth = mask((20, 120, 20, 120))
    truth[:, 150:] = 255
    picture = errors(np.full((240, 300, 3), 100, np.uint8), mask((20, 120, 20, 280)), truth)
    assert coloured(picture, 60, 140, FALSE_POSITIVE)
    assert np.ptp(picture[60, 200]) == 0


def test_pictures_have_one_height_whatever_the_frames(tmp_path):
    for height, width in ((48, 64), (480, 854)):
        small = np.zeros((height, width), np.uint8)
        picture = errors(np.zeros((height, width, 3), np.uint8), small, small)
        assert picture.shape == (240, round(width * 240 / height), 3)


def test_objects_of_an_overlay_have_colours_of_their_own():
    frame = np.full((240, 300, 3), 100, np.uint8)
    picture = overlay(frame, mask(*((20, 220, 40 * i, 40 * i + 30) for i in range(7))))
    inside = {tuple(picture[100, 40 * i + 15]) for i in range(7)}
    assert len(inside) == 7 and (100, 100, 100) not in inside
    assert (picture[100, 34:38] == 100).all(), "the background stays"
    assert (picture[50:200, 40] == 255).all(), "the outline"


@pytest.fixture
def cell(tiny_davis, tmp_path):
    """The tiny set, and a cell's folder with its masks, whose every object is lost after the first frame."""
    videos = open_davis(tiny_davis, 2017, "val")
    for sequence in videos.sequences:
        for index, frame in enumerate(sequence.frames):
            found = sequence.mask(index) * (index == 0)
            write_mask(tmp_path / "cell/masks" / sequence.name / f"{frame.stem}.png", found)
    return videos, tmp_path / "cell"


@pytest.mark.parametrize(
    ("wanted", "names"),
    [("first", ["val-000"]), ("all", ["val-000", "val-001"]), ("none", []), ("val-001", ["val-001"])],
)
def test_sequences_are_chosen_by_name(wanted, names, cell):
    assert [sequence.name for sequence in choose_sequences(cell[0], wanted)] == names


def test_a_sequence_that_is_not_there_is_named(cell):
    with pytest.raises(
        ConfigError, match="pictures=bear: choose first, all, none, .* of davis2017-val: val-000, val-001"
    ):
        choose_sequences(cell[0], "bear")


def test_a_cell_has_a_picture_of_every_frame(cell):
    videos, folder = cell
    _, drawn = draw_cell(videos, choose_sequences(videos, "val-001"), folder)
    assert drawn == {"val-001": str(folder / "errors/val-001")}
    paths = sorted(Path(drawn["val-001"]).iterdir())
    assert [path.name for path in paths] == [f"{i:05d}.jpg" for i in range(5)]
    missed = [
        (np.abs(np.asarray(Image.open(path)).astype(int) - 0.75 * MISSED - 20) < 40).all(axis=2).mean()
        for path in paths
    ]
    assert missed[0] < 0.01 < min(missed[1:])
    assert (folder / "overlay.png").is_file()


def test_pictures_without_frames_show_errors_alone(cell):
    videos, folder = cell
    strip, drawn = draw_cell(videos, choose_sequences(videos, "val-001"), folder, with_frames=False)
    assert strip == str(folder / "overlay_plain.png")
    last = np.asarray(Image.open(sorted(Path(drawn["val-001"]).iterdir())[-1])).astype(int)
    assert np.median(last) == 20, "the picture's dark grey where there is no object"


def test_deleted_masks_have_no_pictures(cell):
    videos, folder = cell
    shutil.rmtree(folder / "masks")
    assert draw_cell(videos, choose_sequences(videos, "all"), folder)[1] == {}
    assert not (folder / "overlay.png").exists()


def test_a_report_shows_errors_and_later_those_of_more_sequences(tiny_run, monkeypatch):
    pytest.importorskip("av")
    evaluate = ["job=evaluate", "method=copy_first_mask"]
    assert tiny_run(*evaluate) == 0
    assert report([str(tiny_run.out)]) == 0
    drawn = {"errors_val-000.png", "errors_val-000.mp4", "over_time_val-000.png", "overlays.png"}
    assert drawn <= {path.name for path in tiny_run.out.iterdir()}

    monkeypatch.setattr("bench.tasks.videos.evaluate", lambda *_: pytest.fail("nothing is judged again"))
    assert tiny_run(*evaluate, "pictures=all") == 0
    assert all(len(json.loads(record.pictures)) == 2 for record in tiny_run.records)
    assert report([str(tiny_run.out)]) == 0
    assert (tiny_run.out / "errors_val-001.mp4").is_file()
    assert tiny_run(*evaluate, "pictures=bear") == 2


def test_records_lead_to_the_scores_of_every_frame(tiny_run):
    tiny_run("job=evaluate", "method=copy_first_mask")
    (record,) = tiny_run.records
    scores = json.loads((Path(record.frame_scores) / "val-001.json").read_text())
    assert len(scores["j"]) == len(scores["f"]) == 3, "of five frames the first and the last are not judged"
    masks = Path(record.frame_scores).parent / "masks/val-001"
    assert read_ids(masks / "00000.png").any()
