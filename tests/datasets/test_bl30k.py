"""BL30K, made small: in segments or merged, every frame with a mask."""

import pickle

import cv2
import numpy as np
import pytest

from datasets.bl30k import open_bl30k
from datasets.clips import VideoClips
from datasets.errors import DataError
from datasets.images import write_mask

MASK = np.kron([[0, 1], [4, 0]], np.ones((12, 16))).astype(np.uint8)


def write_videos(segment, names, frames=4):
    for name in names:
        (segment / "JPEGImages" / name).mkdir(parents=True)
        for t in range(frames):
            cv2.imwrite(str(segment / "JPEGImages" / name / f"{t:05d}.jpg"), np.full((24, 32, 3), 80, np.uint8))
            write_mask(segment / "Annotations" / name / f"{t:05d}.png", MASK)


def test_segments_and_merged_downloads_give_the_same_videos(tmp_path):
    write_videos(tmp_path / "apart" / "a", ["x", "z"])
    write_videos(tmp_path / "apart" / "b", ["y"])
    write_videos(tmp_path / "merged", ["x", "y", "z"])
    for root in ("apart", "merged"):
        videos = open_bl30k(tmp_path / root)
        assert videos.name == "bl30k"
        assert [sequence.name for sequence in videos.sequences] == ["x", "y", "z"]
        y = videos.sequences[1]
        assert (len(y), y.object_ids, y.annotated, y.stride) == (4, (1, 4), (0, 1, 2, 3), 1)
        assert [path.name for path in y.frames[2:]] == ["00002.jpg", "00003.jpg"]
        assert y.frame(3).shape == (24, 32, 3)
        np.testing.assert_array_equal(y.mask(3), MASK)


def test_videos_share_the_names_of_their_files_so_that_thirty_thousand_fit_in_memory(tmp_path):
    write_videos(tmp_path, [f"v{k}" for k in range(5)], frames=100)
    sequences = open_bl30k(tmp_path).sequences
    size = [len(pickle.dumps(sequences[:count])) for count in (1, 5)]
    assert (size[1] - size[0]) / 4 < 10 * 100  # ten bytes a frame; its two paths would take hundreds


def test_training_clips_come_from_it(tmp_path):
    write_videos(tmp_path, ["x", "y"])
    frames, masks = VideoClips(open_bl30k(tmp_path), size=16).clip(0, max_skip=2)
    assert frames.shape == (3, 16, 16, 3)
    assert masks[0].any()


def test_what_is_missing_or_doubled_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no BL30K data at .*JPEGImages/<video>"):
        open_bl30k(tmp_path)
    write_videos(tmp_path / "a", ["x"])
    (tmp_path / "a" / "Annotations" / "x" / "00002.png").unlink()
    with pytest.raises(DataError, match=r"frame .*00002\.jpg has no mask .*x/00002\.png"):
        open_bl30k(tmp_path)
    write_mask(tmp_path / "a" / "Annotations" / "x" / "00002.png", MASK)
    write_videos(tmp_path / "c", ["x"])
    with pytest.raises(DataError, match=r"two videos are called x: .*a/JPEGImages/x and .*c/JPEGImages/x"):
        open_bl30k(tmp_path)
