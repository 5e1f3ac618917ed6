"""YouTube-VOS, made small: late objects, seen and unseen classes, and the zip for the evaluation server."""

import json
import zipfile

import cv2
import numpy as np
import pytest

from datasets.errors import DataError
from datasets.images import read_mask, write_mask
from datasets.youtube_vos import export_submission, open_youtube_vos, split_held_out

STEMS = ["00000", "00005", "00010", "00015", "00020"]
SIZE = (12, 16)


def stripes(*ids):
    """A mask with a stripe of two rows for each id."""
    mask = np.zeros(SIZE, np.uint8)
    for row, object_id in enumerate(ids):
        mask[2 * row : 2 * row + 2] = object_id
    return mask


def write_frames(folder, stems):
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        cv2.imwrite(str(folder / f"{stem}.jpg"), np.full((*SIZE, 3), 90, np.uint8))


def write_meta(root, split, videos):
    """`videos`: name -> object id -> (category or None, place of the first frame in STEMS)."""
    meta = {
        video: {
            "objects": {
                str(i): {"frames": STEMS[start:]} | ({"category": category} if category else {})
                for i, (category, start) in objects.items()
            }
        }
        for video, objects in videos.items()
    }
    (root / split).mkdir(parents=True, exist_ok=True)
    (root / split / "meta.json").write_text(json.dumps({"videos": meta}))


def write_split(root, split, videos):
    """As the downloads are: in `train` every frame has a mask, in `valid` only those where objects appear."""
    write_meta(root, split, videos)
    for video, objects in videos.items():
        write_frames(root / split / "JPEGImages" / video, STEMS)
        for place, stem in enumerate(STEMS):
            shown = [i for i, (_, start) in objects.items() if start <= place]
            new = [i for i, (_, start) in objects.items() if start == place]
            if split == "train" or new:
                mask = stripes(*(shown if split == "train" else new))
                write_mask(root / split / "Annotations" / video / f"{stem}.png", mask)


LATE = {"b": {7: ("owl", 2), 2: ("cat", 0), 3: (None, 2)}, "a": {1: ("owl", 1)}}


def test_objects_appear_where_meta_json_says(tmp_path):
    write_split(tmp_path, "valid", LATE)
    videos = open_youtube_vos(tmp_path, "valid")
    assert (videos.name, videos.unseen) == ("youtube_vos-valid", frozenset())
    assert [sequence.name for sequence in videos.sequences] == ["a", "b"]
    b = videos.sequences[1]
    assert b.object_ids == (2, 3, 7)
    assert b.given == {0: (2,), 2: (3, 7)}
    assert b.categories == {2: "cat", 7: "owl"}
    assert (b.annotated, b.stride) == ((0, 2), 5)
    np.testing.assert_array_equal(b.given_mask(0), stripes(2))
    np.testing.assert_array_equal(b.given_mask(2), stripes(7, 3))


def test_a_video_begins_where_its_first_object_appears(tmp_path):
    write_split(tmp_path, "valid", LATE)
    a = open_youtube_vos(tmp_path, "valid").sequences[0]
    assert [path.stem for path in a.frames] == STEMS[1:]
    assert (a.given, a.appears) == ({0: (1,)}, {1: 0})
    np.testing.assert_array_equal(a.mask(0), stripes(1))


def test_a_given_mask_holds_the_new_objects_alone_though_the_mask_is_raw(tmp_path):
    write_split(tmp_path, "train", LATE)
    b = open_youtube_vos(tmp_path).sequences[1]
    assert b.annotated == (0, 1, 2, 3, 4)
    np.testing.assert_array_equal(b.mask(2), stripes(7, 2, 3))
    np.testing.assert_array_equal(b.given_mask(2), stripes(7, 0, 3))


@pytest.mark.parametrize("place", ["valid_all_frames", "all_frames/valid_all_frames"])
def test_all_frames_brings_those_in_between(tmp_path, place):
    write_split(tmp_path, "valid", LATE)
    with pytest.raises(DataError, match=r"no folder .*valid_all_frames/JPEGImages: fetch all frames of valid"):
        open_youtube_vos(tmp_path, "valid", all_frames=True)
    for video in LATE:
        write_frames(tmp_path / place / "JPEGImages" / video, [f"{t:05d}" for t in range(23)])
    a, b = open_youtube_vos(tmp_path, "valid", all_frames=True, name="dense").sequences
    assert (len(a), len(b), b.given, b.annotated) == (18, 23, {0: (2,), 10: (3, 7)}, (0, 10))
    assert a.frames[0].name == "00005.jpg"
    np.testing.assert_array_equal(b.given_mask(10), stripes(7, 3))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no YouTube-VOS data at .*valid/meta\.json not found.*<split>/meta"):
        open_youtube_vos(tmp_path, "valid")
    write_split(tmp_path, "valid", LATE)
    (tmp_path / "valid" / "Annotations" / "b" / "00010.png").unlink()
    with pytest.raises(DataError, match=r"object 7 of video b .* frame 00010, whose mask .*b/00010\.png"):
        open_youtube_vos(tmp_path, "valid")
    (tmp_path / "valid" / "JPEGImages" / "b" / "00010.jpg").unlink()
    with pytest.raises(DataError, match=r"object 7 of video b .* frame 00010, which is not in .*JPEGImages/b"):
        open_youtube_vos(tmp_path, "valid")
    write_meta(tmp_path, "valid", {"c": {1: ("cat", 0)}})
    with pytest.raises(DataError, match=r"sequence c has no folder .*JPEGImages/c"):
        open_youtube_vos(tmp_path, "valid")


def test_a_mask_that_lacks_its_object_is_found_when_it_is_read(tmp_path):
    write_split(tmp_path, "valid", LATE)
    write_mask(tmp_path / "valid" / "Annotations" / "b" / "00010.png", stripes(7))
    b = open_youtube_vos(tmp_path, "valid").sequences[1]
    with pytest.raises(DataError, match=r"object 3 of sequence b should appear in .*00010\.png.*does not hold"):
        b.given_mask(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"cannot read .*meta\.json.*fetch it again"),
        ("[]", r"cannot read .*meta\.json.*fetch it again"),
        ('{"videos": {}}', r"meta\.json lists no video"),
        ('{"videos": {"a": {"objects": {}}}}', r"meta\.json: video a should have"),
        ('{"videos": {"a": {"objects": {"1": {"frames": []}}}}}', r"meta\.json: video a should have"),
        ('{"videos": {"a": {"objects": {"one": {"frames": ["00000"]}}}}}', r"meta\.json: video a should have"),
        ('{"videos": {"a": [1]}}', r"meta\.json: video a should have"),
    ],
)
def test_a_damaged_meta_json_is_named(tmp_path, text, message):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "meta.json").write_text(text)
    with pytest.raises(DataError, match=message):
        open_youtube_vos(tmp_path)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """60 videos: a person in each third one, and one of ten animals in every one."""
    videos = {}
    for k in range(60):
        videos[f"v{k:02d}"] = {1: (f"animal{k % 10}", 0)} | ({2: ("person", 1)} if k % 3 == 0 else {})
    root = tmp_path_factory.mktemp("zoo")
    write_split(root, "train", videos)
    return open_youtube_vos(root)


def classes(videos):
    return {category for sequence in videos.sequences for category in sequence.categories.values()}


@pytest.mark.parametrize("seed", range(5))
def test_training_shows_no_unseen_class_and_the_held_out_part_shows_both_kinds(zoo, seed):
    train, held = split_held_out(zoo, fraction=0.2, unseen_fraction=0.2, seed=seed)
    assert (train.name, held.name) == ("youtube_vos-train-train", "youtube_vos-train-held-out")
    assert (len(held.unseen), train.unseen) == (2, frozenset())
    assert classes(train).isdisjoint(held.unseen)
    assert held.unseen < classes(held)
    names = [sequence.name for sequence in (*train.sequences, *held.sequences)]
    assert sorted(names) == [sequence.name for sequence in zoo.sequences]
    seen = [s for s in held.sequences if held.unseen.isdisjoint(s.categories.values())]
    assert 1 <= len(seen) <= 20
    assert len(held) == 12 + len(seen)


def test_a_common_class_is_never_unseen_and_the_seed_chooses(zoo):
    chosen = [split_held_out(zoo, seed=seed)[1] for seed in range(20)]
    assert all(len(held.unseen) == 1 and "person" not in held.unseen for held in chosen)
    assert len({held.unseen for held in chosen}) > 3
    again = split_held_out(zoo, seed=3)[1]
    assert [s.name for s in again.sequences] == [s.name for s in chosen[3].sequences]


def test_either_kind_of_holding_out_may_be_left_out(zoo):
    train, held = split_held_out(zoo, fraction=0.0, unseen_fraction=0.0)
    assert (len(train), len(held), held.unseen) == (60, 0, frozenset())
    train, held = split_held_out(zoo, fraction=0.0, unseen_fraction=0.1)
    assert all(held.unseen & set(s.categories.values()) for s in held.sequences)
    with pytest.raises(ValueError, match="fraction of unseen classes is 1"):
        split_held_out(zoo, unseen_fraction=1)


def test_a_split_needs_classes_and_a_video_to_train_on(tmp_path):
    write_split(tmp_path / "unknown", "train", LATE)
    with pytest.raises(DataError, match=r"a class of sequence b of youtube_vos-train is not known"):
        split_held_out(open_youtube_vos(tmp_path / "unknown"))
    write_split(tmp_path / "one", "train", {"a": {1: ("owl", 0), 2: ("cat", 0)}})
    with pytest.raises(DataError, match=r"no video of youtube_vos-train is without an unseen class"):
        split_held_out(open_youtube_vos(tmp_path / "one"))


def write_predictions(folder, stems):
    for video in LATE:
        for stem in stems:
            write_mask(folder / video / f"{stem}.png", stripes(int(stem) % 7))


def test_a_submission_holds_the_listed_frames_alone_and_is_the_same_each_time(tmp_path):
    write_split(tmp_path, "valid", LATE)
    write_predictions(tmp_path / "masks", [f"{t:05d}" for t in range(23)])
    assert export_submission(tmp_path, tmp_path / "masks", tmp_path / "out" / "one.zip") == 9
    with zipfile.ZipFile(tmp_path / "out" / "one.zip") as archive:
        expected = [f"Annotations/{v}/{stem}.png" for v, start in (("a", 1), ("b", 0)) for stem in STEMS[start:]]
        assert archive.namelist() == expected
        archive.extractall(tmp_path / "unpacked")
    np.testing.assert_array_equal(read_mask(tmp_path / "unpacked" / "Annotations/b/00010.png"), stripes(3))
    first = (tmp_path / "out" / "one.zip").read_bytes()
    write_predictions(tmp_path / "again", STEMS)
    export_submission(tmp_path, tmp_path / "again", tmp_path / "out" / "one.zip")
    assert (tmp_path / "out" / "one.zip").read_bytes() == first
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one.zip"]


def test_an_incomplete_submission_names_the_first_missing_mask_and_writes_nothing(tmp_path, monkeypatch):
    write_split(tmp_path, "valid", LATE)
    write_predictions(tmp_path / "masks", STEMS[:4])
    with pytest.raises(DataError, match=r"lacks .*masks/a/00020\.png \(2 of 9 masks\): segment all videos"):
        export_submission(tmp_path, tmp_path / "masks", tmp_path / "out" / "one.zip")
    write_predictions(tmp_path / "masks", STEMS)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        export_submission(tmp_path, tmp_path / "masks", tmp_path / "out" / "one.zip")
    assert not list((tmp_path / "out").iterdir())
