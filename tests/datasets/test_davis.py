"""The DAVIS layout, made small; and the real sets where they are at hand."""

import cv2
import numpy as np
import pytest

from datasets.davis import open_davis
from datasets.errors import DataError
from datasets.images import write_mask

TWO_OBJECTS = np.repeat(np.repeat([[0, 1, 2, 0]], 12, axis=0), 4, axis=1)


def write_davis(root, sequences=("bear", "ant"), lists=("2017/val",), resolution="480p", frames=3):
    for name in sequences:
        folder = root / "JPEGImages" / resolution / name
        folder.mkdir(parents=True)
        for t in range(frames):
            cv2.imwrite(str(folder / f"{t:05d}.jpg"), np.full((12, 16, 3), 100, np.uint8))
        for t in (0, 1):
            write_mask(root / "Annotations" / resolution / name / f"{t:05d}.png", TWO_OBJECTS)
    for name in lists:
        path = root / "ImageSets" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(sequences) + "\n")


def test_sequences_come_in_the_order_of_the_list(tmp_path):
    write_davis(tmp_path)
    videos = open_davis(tmp_path, 2017)
    assert videos.name == "davis2017-val"
    assert [sequence.name for sequence in videos.sequences] == ["bear", "ant"]
    bear = videos.sequences[0]
    np.testing.assert_array_equal(bear.mask(0), TWO_OBJECTS)
    assert (len(bear), bear.object_ids, bear.mask(2)) == (3, (1, 2), None)


def test_2016_merges_the_objects(tmp_path):
    write_davis(tmp_path, lists=["2016/train"])
    bear = open_davis(tmp_path, 2016, "train", name="mine").sequences[0]
    np.testing.assert_array_equal(bear.mask(0), TWO_OBJECTS > 0)
    assert bear.object_ids == (1,)


def test_the_lists_of_the_original_2016_download_are_understood(tmp_path):
    write_davis(tmp_path, lists=[])
    lines = [
        f"/JPEGImages/480p/{name}/{t:05d}.jpg /Annotations/480p/{name}/{t:05d}.png"
        for name in ("bear", "ant")
        for t in range(3)
    ]
    (tmp_path / "ImageSets" / "480p").mkdir(parents=True)
    (tmp_path / "ImageSets" / "480p" / "val.txt").write_text("\n".join(lines) + "\n\n")
    assert [sequence.name for sequence in open_davis(tmp_path, 2016).sequences] == ["bear", "ant"]
    with pytest.raises(DataError, match=r"no list of sequences .*2017/val\.txt.*480p/val\.txt"):
        open_davis(tmp_path, 2017)


def test_the_resolution_is_480p_or_the_only_one_there(tmp_path):
    write_davis(tmp_path, resolution="240p")
    assert open_davis(tmp_path, 2017).sequences[0].frames[0].parts[-3] == "240p"
    write_davis(tmp_path, resolution="1080p", lists=[])
    with pytest.raises(DataError, match=r"neither a 480p folder.*\(1080p, 240p\).*set the resolution"):
        open_davis(tmp_path, 2017)
    assert open_davis(tmp_path, 2017, resolution="1080p").sequences[0].frames[0].parts[-3] == "1080p"
    with pytest.raises(DataError, match=r"no folder .*JPEGImages/360p; resolutions there: 1080p, 240p"):
        open_davis(tmp_path, 2017, resolution="360p")
    write_davis(tmp_path, lists=[])
    assert open_davis(tmp_path, 2017).sequences[0].frames[0].parts[-3] == "480p"


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no DAVIS data at .*nowhere.*JPEGImages"):
        open_davis(tmp_path / "nowhere", 2017)
    write_davis(tmp_path, lists=["2017/val", "2016/train"])
    with pytest.raises(DataError, match=r"2017/test-dev\.txt; lists in .*: 2016/train\.txt, 2017/val\.txt"):
        open_davis(tmp_path, 2017, "test-dev")
    (tmp_path / "Annotations" / "480p" / "ant" / "00000.png").unlink()
    with pytest.raises(DataError, match=r"ant has no mask for its first frame .*put it at .*ant/00000\.png"):
        open_davis(tmp_path, 2017)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("bear\ncow\n")
    with pytest.raises(DataError, match=r"sequence cow has no folder .*JPEGImages/480p/cow"):
        open_davis(tmp_path, 2017)
    (tmp_path / "ImageSets" / "2017" / "val.txt").write_text("\n")
    with pytest.raises(DataError, match=r"val\.txt is empty"):
        open_davis(tmp_path, 2017)


def test_bad_files_are_found_when_they_are_read(tmp_path):
    write_davis(tmp_path, sequences=["bear"])
    frame = tmp_path / "JPEGImages" / "480p" / "bear" / "00001.jpg"
    frame.write_bytes(frame.read_bytes()[:-30])
    annotations = tmp_path / "Annotations" / "480p" / "bear"
    write_mask(annotations / "00000.png", np.zeros((12, 16)))
    write_mask(annotations / "00001.png", np.ones((24, 32)))
    (bear,) = open_davis(tmp_path, 2017).sequences
    with pytest.raises(DataError, match=r"00001\.jpg"):
        bear.frame(1)
    with pytest.raises(DataError, match=r"first mask of sequence bear is empty: .*00000\.png"):
        _ = bear.object_ids


def test_copying_the_first_mask_scores_what_is_known_for_davis_2016(shared):
    """J of the copied first mask over frames 2..n-1 is 0.266 (the README beside the data)."""
    videos = open_davis(shared / "data" / "davis2016-val-240p", 2016)
    assert (len(videos), sum(len(sequence) for sequence in videos.sequences)) == (20, 1376)
    scores = []
    for sequence in videos.sequences:
        first = sequence.mask(0) > 0
        truths = [sequence.mask(t) > 0 for t in range(1, len(sequence) - 1)]
        unions = [(truth | first).sum() for truth in truths]
        scores.append(np.mean([(truth & first).sum() / union for truth, union in zip(truths, unions, strict=True)]))
    assert np.mean(scores) == pytest.approx(0.266, abs=5e-4)


@pytest.mark.parametrize(
    ("listed", "frames", "size", "ids"),
    [
        ("davis2017-multi-240p/2017/val/dogs-jump", 66, (240, 432), (1, 2, 3)),
        ("davis2016-subset-480p/2016/val/blackswan", 50, (480, 854), (1,)),
        ("davis-train-240p/2017/train/schoolgirls", 80, (240, 432), (1, 2, 3, 4, 5, 6, 7)),
    ],
)
def test_the_reference_sets_open(shared, listed, frames, size, ids):
    folder, year, split, name = listed.split("/")
    videos = open_davis(shared / "data" / folder, int(year), split)
    sequence = next(sequence for sequence in videos.sequences if sequence.name == name)
    assert (len(sequence), sequence.object_ids) == (frames, ids)
    assert sequence.frame(0).shape == (*size, 3)
    assert all(mask is not None for mask in sequence.masks)
