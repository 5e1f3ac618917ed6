"""Videos without masks, as folders of frames and in the DAVIS layout."""

import shutil

import numpy as np
import pytest

from datasets.errors import DataError
from datasets.images import write_mask
from datasets.unlabelled import open_unlabelled


@pytest.fixture
def frames(tiny_davis, tmp_path):
    return shutil.copytree(tiny_davis / "JPEGImages", tmp_path / "clips/JPEGImages").parent


def test_clips_are_folders_of_frames_or_in_the_davis_layout(frames):
    for root in (frames, frames / "JPEGImages/480p"):
        clips = open_unlabelled(root)
        assert [clip.name for clip in clips] == ["train-000", "train-001", "val-000", "val-001"]
        assert {(len(clip.frames), clip.size, clip.mask) for clip in clips} == {(5, (48, 64), None)}


def test_the_first_mask_there_is_starts_a_clip(frames, tmp_path, tiny_davis):
    masks = tmp_path / "masks/train-001"
    masks.mkdir(parents=True)
    shutil.copy(tiny_davis / "Annotations/480p/train-001/00002.png", masks)
    clip = open_unlabelled(frames, tmp_path / "masks")[1]
    assert [path.stem for path in clip.frames] == ["00002", "00003", "00004"]
    assert clip.first_mask().any() and clip.frame(0).shape == (48, 64, 3)
    shutil.copytree(tiny_davis / "Annotations", frames / "Annotations")
    assert all(clip.mask is not None for clip in open_unlabelled(frames))


def test_what_is_no_clip_is_named(frames, tmp_path):
    with pytest.raises(DataError, match="no folder of frames in .*train-000"):
        open_unlabelled(frames / "JPEGImages/480p/train-000")
    write_mask(tmp_path / "masks/val-000/00000.png", np.zeros((48, 64)))
    clip = open_unlabelled(frames, tmp_path / "masks")[2]
    with pytest.raises(DataError, match="first mask of val-000 is empty"):
        clip.first_mask()
