"""YouTube-VOS, BL30K and the stages of a training, from the command line to the table."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.__main__ import main
from bench.record import Record, read_records
from datasets.clips import MixedClips, VideoClips
from datasets.images import read_mask, write_mask
from reports.__main__ import main as report

LAST = 20  # number of the last frame; every fifth from 0 on is annotated
ANNOTATED = range(0, LAST + 1, 5)
WIDTH = 20  # of an object, pixels
HEIGHT = 10

# video -> object id -> (class, the frame where it appears, the pixels it moves between annotated frames).
# The ids have gaps, as those of YouTube-VOS, and some objects appear late.
ANIMALS = ("cat", "dog", "owl", "fish")
TRAIN = {f"train{k}": {3: (ANIMALS[k % 4], 0, k % 5)} for k in range(8)}
TRAIN["train1"][5] = TRAIN["train4"][5] = ("person", 10, 4)
TRAIN["train2"][1] = TRAIN["train7"][1] = ("person", 5, 3)
VALID = {
    "valid0": {1: (None, 0, 1)},
    "valid1": {2: (None, 5, 2), 4: (None, 15, 1)},  # nothing is given in its first frame
    "valid2": {1: (None, 0, 3), 2: (None, 20, 0), 7: (None, 10, 2)},
}


@pytest.fixture(scope="session")
def tiny_youtube(tmp_path_factory) -> Path:
    """A YouTube-VOS folder as its downloads unpack: train, valid, and all frames of valid."""
    root = tmp_path_factory.mktemp("youtube")
    for split, videos in (("train", TRAIN), ("valid", VALID)):
        write_split(root, split, videos)
    for video, objects in VALID.items():
        write_frames(root / "valid_all_frames" / "JPEGImages" / video, objects, range(LAST + 1))
    return root


def write_split(root, split, videos):
    """In `train` each annotated frame has a whole mask, in `valid` those alone in which objects appear."""
    meta = {
        video: {"objects": {str(i): listed(*one[:2]) for i, one in objects.items()}}
        for video, objects in videos.items()
    }
    (root / split).mkdir()
    (root / split / "meta.json").write_text(json.dumps({"videos": meta}))
    for video, objects in videos.items():
        write_frames(root / split / "JPEGImages" / video, objects, ANNOTATED)
        for t in ANNOTATED:
            new = {i: one for i, one in objects.items() if one[1] == t}
            if split == "train" or new:
                mask = draw(objects if split == "train" else new, t)
                write_mask(root / split / "Annotations" / video / f"{t:05d}.png", mask)


def listed(category, start) -> dict:
    frames = {"frames": [f"{t:05d}" for t in ANNOTATED if t >= start]}
    return {"category": category, **frames} if category else frames


def write_frames(folder, objects, times):
    folder.mkdir(parents=True)
    colours = np.array([60, *np.linspace(90, 230, 7)], np.uint8)
    for t in times:
        cv2.imwrite(str(folder / f"{t:05d}.jpg"), np.dstack([colours[draw(objects, t)]] * 3))


def draw(objects, t) -> np.ndarray:
    """The objects that have appeared by frame `t`, each a rectangle that moves along rows of its own."""
    mask = np.zeros((48, 64), np.uint8)
    for row, (object_id, (_, start, speed)) in enumerate(objects.items()):
        if t >= start:
            top, left = 4 + 14 * row, 2 + speed * t // 5
            mask[top : top + HEIGHT, left : left + WIDTH] = object_id
    return mask


def copied_j(objects) -> dict[int, float]:
    """J in percent of an object that is taken to stay where it appeared: the mean over the frames after that.

    Two rectangles of width w at a distance d share w - d columns of w + d.
    """
    moved = {i: [speed * (t - start) / 5 for t in ANNOTATED if t > start] for i, (_, start, speed) in objects.items()}
    return {i: 100 * np.mean([max(0, WIDTH - d) / (WIDTH + d) for d in ds]) for i, ds in moved.items()}


class Suite:
    """The command line with everything small; all tests share its folder of computed things."""

    def __init__(self, folder: Path) -> None:
        self.runs, self.out = folder / "runs", folder / "out"

    def __call__(self, *arguments: str) -> int:
        tiny = {"steps": 1, "batch": 2, "crop": 32, "length": 3, "workers": 0}
        sizes = [f"scale.{role}.{k}={v}" for role in ("teacher", "student") for k, v in tiny.items()]
        places = [f"runs={self.runs}", f"output={self.out}"]
        return main([*places, "measure=false", "device=cpu", "processes=1", "seeds=1", *sizes, *arguments])

    @property
    def records(self) -> dict[str, Record]:
        return {record.label: record for record in read_records(self.out / "records.jsonl")}


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Suite:
    return Suite(tmp_path_factory.mktemp("suite"))


@pytest.fixture
def opened(monkeypatch) -> list[VideoClips]:
    """What the trainings of a test draw their clips from."""
    found = []

    class Noted(VideoClips):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            found.append(self)

    monkeypatch.setattr("datasets.clips.VideoClips", Noted)
    return found


def learn(root) -> list[str]:
    return ["training=youtube_vos", f"training.root={root}", "training.hold_out=0"]


def judge(root, *more) -> list[str]:
    return ["dataset=youtube2019", f"dataset.root={root}", *more]


def test_scores_are_told_apart_for_seen_and_unseen_classes(suite, tiny_youtube, opened):
    assert suite(*learn(tiny_youtube), *judge(tiny_youtube)) == 0
    records = suite.records
    assert list(records) == ["copy_first_mask", "mobilevos_r18 (teacher)", "labels only", "distilled"]
    for record in records.values():
        assert (record.status, record.dataset) == ("ok", "youtube-vos-2019")
        parts = [record.j_seen, record.f_seen, record.j_unseen, record.f_unseen]
        assert record.jf_mean == pytest.approx(np.mean(parts))
    assert records["distilled"].train_clips == "youtube_vos"

    judged = set(json.loads(records["distilled"].per_sequence))
    for clips in opened:
        learnt = {sequence.name for sequence in clips.videos}
        assert (learnt | judged, learnt & judged) == (set(TRAIN), set())
    known = {category for video in learnt for category, *_ in TRAIN[video].values()}
    expected = {True: [], False: []}
    for video in judged:
        for object_id, j in copied_j(TRAIN[video]).items():
            expected[TRAIN[video][object_id][0] in known].append(j)
    copied = records["copy_first_mask"]
    assert copied.j_seen == pytest.approx(np.mean(expected[True]))
    assert copied.j_unseen == pytest.approx(np.mean(expected[False]))
    print(judged, known, copied)
