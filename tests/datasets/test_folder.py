"""A plain folder of frames and masks."""

import cv2
import numpy as np
import pytest

from datasets.errors import DataError
from datasets.folder import open_folder
from datasets.images import write_mask


def write_video(folder, frames=("0.jpg", "1.jpg", "2.jpg"), masks=("0.png",)):
    (folder / "frames").mkdir(parents=True)
    (folder / "masks").mkdir()
    for frame in frames:
        cv2.imwrite(str(folder / "frames" / frame), np.full((12, 16, 3), 100, np.uint8))
    for mask in masks:
        write_mask(folder / "masks" / mask, np.eye(12, 16) * 3)


def test_one_video_with_only_the_first_mask(tmp_path):
    write_video(tmp_path / "cat")
    videos = open_folder(tmp_path / "cat")
    assert (videos.name, len(videos)) == ("cat", 1)
    (cat,) = videos.sequences
    assert (cat.name, len(cat), cat.object_ids) == ("cat", 3, (3,))
    assert cat.frame(2).shape == (12, 16, 3)
    np.testing.assert_array_equal(cat.mask(0), np.eye(12, 16) * 3)
    assert cat.mask(1) is None


def test_several_videos_are_named_by_their_folders(tmp_path):
    for name in ("dog", "cat"):
        write_video(tmp_path / name)
    (tmp_path / "notes").mkdir()
    videos = open_folder(tmp_path, name="pets")
    assert videos.name == "pets"
    assert [sequence.name for sequence in videos.sequences] == ["cat", "dog"]


def test_frames_are_ordered_as_numbers_and_may_be_of_any_kind(tmp_path):
    write_video(tmp_path, ["shot10.png", "shot9.JPG", "shot100.jpeg", ".hidden.jpg"], ["shot9.png", "shot100.png"])
    (sequence,) = open_folder(tmp_path).sequences
    assert [path.name for path in sequence.frames] == ["shot9.JPG", "shot10.png", "shot100.jpeg"]
    assert [path and path.name for path in sequence.masks] == ["shot9.png", None, "shot100.png"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"folder not found: .*nowhere.*frames/"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no frames/ folder in .*the layout is"):
        open_folder(tmp_path)
    (tmp_path / "cat" / "frames").mkdir(parents=True)
    with pytest.raises(DataError, match=r"sequence cat has no folder .*cat/masks"):
        open_folder(tmp_path)
    (tmp_path / "cat" / "masks").mkdir()
    with pytest.raises(DataError, match=r"sequence cat has no frames: no \.jpg.* in .*cat/frames"):
        open_folder(tmp_path)


def test_the_first_frame_must_have_a_mask(tmp_path):
    write_video(tmp_path / "cat", masks=["1.png"])
    with pytest.raises(DataError, match=r"cat has no mask for its first frame 0\.jpg.*put it at .*masks/0\.png"):
        open_folder(tmp_path)


def test_a_mask_without_frame_and_two_frames_of_one_name_are_errors(tmp_path):
    write_video(tmp_path / "a", masks=["0.png", "7.png"])
    with pytest.raises(DataError, match=r"mask .*7\.png has no frame"):
        open_folder(tmp_path / "a")
    write_video(tmp_path / "b", frames=["0.jpg", "0.png"])
    with pytest.raises(DataError, match="two frames of sequence b are called 0"):
        open_folder(tmp_path / "b")


def test_damaged_files_are_found_when_they_are_read(tmp_path):
    write_video(tmp_path / "cat", masks=["0.png", "1.png"])
    (tmp_path / "cat" / "frames" / "1.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut short")
    write_mask(tmp_path / "cat" / "masks" / "0.png", np.zeros((12, 16)))
    (cat,) = open_folder(tmp_path).sequences
    with pytest.raises(DataError, match=r"cannot read the image .*1\.jpg"):
        cat.frame(1)
    with pytest.raises(DataError, match=r"first mask of sequence cat is empty: .*0\.png"):
        _ = cat.object_ids
    write_mask(tmp_path / "cat" / "masks" / "0.png", np.ones((16, 12)))
    with pytest.raises(DataError, match=r"0\.png is 16x12 but its frame is 12x16"):
        cat.mask(0)
