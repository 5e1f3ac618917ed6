"""YouTube-VOS, BL30K and the stages of a training, from the command line to the table."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from bench.__main__ import main
from bench.record import Record, read_records
from datasets.clips import MixedClips, VideoClips
from datasets.images import write_mask
from reports.__main__ import main as report

LAST = 20  # number of the last frame; every fifth from 0 on is annotated
ANNOTATED = range(0, LAST + 1, 5)
WIDTH = 20  # of an object, pixels
HEIGHT = 10

# video -> object id -> (class, the frame where it appears, the pixels it moves between annotated frames).
# The ids have gaps, as those of YouTube-VOS, and some objects appear late.
ANIMALS = ("cat", "dog", "owl", "fish")
TRAIN = {f"train{k}": {3: (ANIMALS[k % 4], 0, 1 + k // 2)} for k in range(8)}
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
            new = [i for i, (_, start, _) in objects.items() if start == t]
            if split == "train" or new:
                mask = draw(objects, t, objects if split == "train" else new)
                write_mask(root / split / "Annotations" / video / f"{t:05d}.png", mask)


def listed(category, start) -> dict:
    frames = {"frames": [f"{t:05d}" for t in ANNOTATED if t >= start]}
    return {"category": category, **frames} if category else frames


def write_frames(folder, objects, times):
    folder.mkdir(parents=True)
    colours = np.array([60, *np.linspace(90, 230, 7)], np.uint8)
    for t in times:
        cv2.imwrite(str(folder / f"{t:05d}.jpg"), np.dstack([colours[draw(objects, t)]] * 3))


def draw(objects, t, ids=None) -> np.ndarray:
    """The objects (those of `ids`) that have appeared by frame `t`: rectangles, each moving along its own rows."""
    mask = np.zeros((48, 64), np.uint8)
    for row, (object_id, (_, start, speed)) in enumerate(objects.items()):
        if t >= start and (ids is None or object_id in ids):
            top, left = 4 + 14 * row, 2 + speed * t // 5
            mask[top : top + HEIGHT, left : left + WIDTH] = object_id
    return mask


def copied_j(objects) -> dict[int, float]:
    """J in percent of an object that is taken to stay where it appeared: the mean over the frames after that.

    Two rectangles of width w at a distance d share w - d columns of w + d.
    """
    moved = {
        i: [speed * (t - start) / 5 for t in ANNOTATED if t > start] for i, (_, start, speed) in objects.items()
    }
    return {i: 100 * np.mean([max(0, WIDTH - d) / (WIDTH + d) for d in ds]) for i, ds in moved.items()}


class Suite:
    """The command line with everything small; the tests share its folder of computed things."""

    def __init__(self, folder: Path) -> None:
        self.runs, self.out = folder / "runs", folder / "out"

    def __call__(self, *arguments: str) -> int:
        tiny = {"steps": 1, "batch": 2, "crop": 32, "length": 3}
        sizes = [f"scale.{role}.{key}={v}" for role in ("teacher", "student") for key, v in tiny.items()]
        places = [f"runs={self.runs}", f"output={self.out}"]
        return main([*places, "measure=false", "device=cpu", "processes=1", *sizes, *arguments])

    @property
    def records(self) -> dict[str, Record]:
        return {record.label: record for record in read_records(self.out / "records.jsonl")}

    def trained(self) -> dict[str, dict]:
        """Checkpoints of all trainings by the names of their folders."""
        return {path.parent.name: torch.load(path) for path in self.runs.glob("trained/*/weights.pt")}


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Suite:
    return Suite(tmp_path_factory.mktemp("suite"))


@contextmanager
def noted_clips() -> Iterator[list[VideoClips]]:
    """What the trainings inside draw their clips from."""
    opened = []

    class Noted(VideoClips):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            opened.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.clips.VideoClips", Noted)
        yield opened


PAIR = ["ablation=distillation", "seeds=1"]  # a teacher, a network without and one with it
ONE = ["ablation=omega", "omega=[0]", "recipe=supervised", "seeds=1", "ablation.baselines=[]"]


def judged_on(root, name="youtube2019") -> list[str]:
    return [f"dataset={name}", f"dataset.root={root}"]


def on_youtube(root) -> list[str]:
    """To learn and to be evaluated on: the training is given all videos that are not evaluated."""
    return ["training=youtube_vos", f"training.root={root}", "training.hold_out=0", *judged_on(root)]


def names(clips: VideoClips) -> set[str]:
    return {sequence.name for sequence in clips.videos}


@pytest.fixture(scope="module")
def learnt(suite, tiny_youtube) -> tuple[dict[str, Record], list[set[str]]]:
    """Records of networks trained on YouTube-VOS, and the videos that each training was given."""
    with noted_clips() as opened:
        assert suite(*PAIR, *on_youtube(tiny_youtube)) == 0
    return suite.records, [names(clips) for clips in opened]


def test_seen_and_unseen_classes_are_scored_apart_and_g_is_the_mean(learnt):
    records, _ = learnt
    assert list(records) == ["copy_first_mask", "mobilevos_r18 (teacher)", "labels only", "distilled"]
    for record in records.values():
        assert (record.status, record.dataset, record.resolution) == ("ok", "youtube-vos-2019", "48x64")
        parts = [record.j_seen, record.f_seen, record.j_unseen, record.f_unseen]
        assert record.jf_mean == pytest.approx(np.mean(parts))
    assert (records["distilled"].train_clips, records["distilled"].train_steps) == ("youtube_vos", 1)


def test_no_training_is_given_a_judged_video_or_an_unseen_class(learnt):
    records, given = learnt
    judged = set(json.loads(records["distilled"].per_sequence))
    assert given
    for videos in given:
        assert (videos | judged, videos & judged) == (set(TRAIN), set())
    known = {category for video in given[0] for category, *_ in TRAIN[video].values()}
    expected = {"seen": [], "unseen": []}
    for video in judged:
        for object_id, j in copied_j(TRAIN[video]).items():
            expected["seen" if TRAIN[video][object_id][0] in known else "unseen"].append(j)
    copied = records["copy_first_mask"]
    assert copied.j_seen == pytest.approx(np.mean(expected["seen"]))
    assert copied.j_unseen == pytest.approx(np.mean(expected["unseen"]))


def test_classes_alone_can_be_held_out(suite, tiny_youtube):
    shares = [f"{key}.judged=0" for key in ("training", "dataset")]
    with noted_clips() as opened:
        assert suite(*ONE, *on_youtube(tiny_youtube), *shares) == 0
    record = suite.records["omega=0"]
    judged = set(json.loads(record.per_sequence))
    assert len({TRAIN[video][3][0] for video in judged}) == 1
    assert names(opened[0]) == set(TRAIN) - judged


def test_work_is_not_done_again_when_another_split_is_fetched(suite, tiny_youtube, learnt, tmp_path):
    shutil.copytree(tiny_youtube / "train", tmp_path / "train")
    before = suite.trained().keys()
    assert suite(*PAIR, *on_youtube(tmp_path)) == 0
    assert suite.records == learnt[0]
    assert suite.trained().keys() == before


@pytest.mark.parametrize("method", ["copy_first_mask", "mobilevos_r18"])
def test_the_validation_set_gives_no_scores_but_a_submission(method, suite, tiny_youtube, learnt, capsys):
    weights = {"mobilevos_r18": [f"weights={learnt[0]['distilled'].weights}"]}.get(method, [])
    valid = [*judged_on(tiny_youtube), "dataset.split=valid"]
    zips = {}
    for all_frames, steps in ((False, 4 + 3 + 4), (True, 20 + 15 + 20)):
        job = ["job=evaluate", f"method={method}", *weights, *valid, f"dataset.all_frames={all_frames}"]
        assert suite(*job) == 0
        record = suite.records[method]
        assert (record.status, record.sequences, record.frames) == ("ok", 3, steps)
        assert {record.jf_mean, record.j_mean, record.j_seen, record.f_unseen} == {None}
        assert not json.loads(record.per_sequence or "{}")
        said = re.search("for the evaluation server: (.*)", capsys.readouterr().out)
        zips[all_frames] = Path(said[1])
    for path in zips.values():
        check_submission(path, exactly=method == "copy_first_mask")
    assert report([str(suite.out)]) == 0
    table = (suite.out / "table.md").read_text()
    assert f"| {method} " in table
    assert (suite.out / "overlays.png").is_file()


def check_submission(path: Path, exactly: bool) -> None:
    """The zip holds what the server asks for; objects are as given where they appear and absent before.

    exactly: every object stays where it appeared.
    """
    with zipfile.ZipFile(path) as archive:
        expected = [(video, t) for video in sorted(VALID) for t in ANNOTATED if draw(VALID[video], t).any()]
        assert archive.namelist() == [f"Annotations/{video}/{t:05d}.png" for video, t in expected]
        for (video, t), name in zip(expected, archive.namelist(), strict=True):
            image = Image.open(archive.open(name))
            assert (image.mode, image.size) == ("P", (64, 48))
            mask = np.array(image)
            starts = {i: start for i, (_, start, _) in VALID[video].items() if start <= t}
            assert set(mask.flat) <= {0, *starts}
            for object_id, start in starts.items():
                if start == t:
                    assert (mask[draw(VALID[video], t, [object_id]) > 0] == object_id).all()
            if exactly:
                still = sum(draw(VALID[video], start, [object_id]) for object_id, start in starts.items())
                np.testing.assert_array_equal(mask, still)


def test_davis_and_youtube_vos_are_mixed_with_five_copies_of_davis(suite, tiny_youtube, tiny_davis):
    shares = []

    class Noted(MixedClips):
        def __init__(self, *args):
            super().__init__(*args)
            shares.append(self.shares)

    roots = [f"training.davis_root={tiny_davis}", f"training.youtube_root={tiny_youtube}"]
    with noted_clips() as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr("datasets.clips.MixedClips", Noted)
        assert suite(*ONE, "training=davis_youtube", *roots, *judged_on(tiny_davis, "davis2017")) == 0
    assert suite.records["omega=0"].train_clips == "davis+youtube_vos"
    davis, youtube = opened
    assert (len(davis.videos), names(youtube)) == (2, set(TRAIN))
    np.testing.assert_allclose(shares, [[10 / 18, 8 / 18]])


@pytest.fixture(scope="module")
def early(tmp_path_factory) -> list[str]:
    """The keys of two stages before the last: static images, then rendered videos in one segment of BL30K."""
    root = tmp_path_factory.mktemp("early")
    objects = {2: ("cat", 0, 2), 6: ("dog", 0, 1)}
    write_frames(root / "static" / "JPEGImages" / "set", objects, range(4))
    for k in range(4):
        write_mask(root / "static" / "Annotations" / "set" / f"{k:05d}.png", draw(objects, k) > 0)
    for video in ("x", "y"):
        write_frames(root / "bl30k" / "a" / "JPEGImages" / video, objects, range(4))
        for t in range(4):
            write_mask(root / "bl30k" / "a" / "Annotations" / video / f"{t:05d}.png", draw(objects, t))
    stages = {"stage0": "static", "stage1": "bl30k"}
    return [part for key, name in stages.items() for part in (f"{key}={name}", f"{key}.root={root / name}")]


def test_a_training_in_three_stages_goes_on_from_weights_to_weights(suite, early, tiny_davis):
    davis = ["training=davis", f"training.root={tiny_davis}", *judged_on(tiny_davis, "davis2017")]
    before = suite.trained().keys()
    steps = ["scale.stage0.student.steps=2", "scale.stage1.student.steps=3"]
    # No learning in the last stage: what it ends with is what it began with.
    lrs = ["scale.student.lr=0", "scale.stage0.student.lr=0.001", "scale.stage1.student.lr=0.001"]
    assert suite(*ONE, *early, *davis, *steps, *lrs) == 0
    record = suite.records["omega=0"]
    assert (record.status, record.train_steps) == ("ok", 2 + 3 + 1)
    assert record.train_clips == "static, then bl30k, then davis"
    trained = [content for name, content in suite.trained().items() if name not in before]
    weights = {c["meta"]["data"]: c["state_dict"]["query_encoder.conv1.weight"] for c in trained}
    assert weights.keys() == {"static", "bl30k", "davis"}
    assert torch.equal(weights["davis"], weights["bl30k"])
    assert not torch.equal(weights["bl30k"], weights["static"])


def test_the_published_schedule_runs_through_its_three_stages(suite, early, tiny_youtube, tiny_davis):
    before = suite.trained().keys()
    data = [
        "training=davis_youtube", f"training.davis_root={tiny_davis}", f"training.youtube_root={tiny_youtube}",
        *judged_on(tiny_davis, "davis2017"),
    ]  # fmt: skip
    tiny = [
        f"scale.{stage}{role}.{key}={value}"
        for stage in ("", "stage0.", "stage1.")
        for role in ("teacher", "student")
        for key, value in {"steps": 1, "batch": 1, "workers": 0}.items()
    ]
    rows = ["ablation=omega", "omega=[1]", "seeds=1", "ablation.baselines=[teacher]"]
    widths = ["options.width=0.25", "teacher.options.width=0.125"]
    assert suite("scale=paper", *rows, *early, *data, *tiny, *widths) == 0
    records = suite.records
    assert list(records) == ["stcn (teacher)", "omega=1"]
    for record in records.values():
        assert (record.status, record.scale, record.train_steps) == ("ok", "paper", 3)
        assert record.train_clips == "static, then bl30k, then davis+youtube_vos"
    trained = [content["meta"] for name, content in suite.trained().items() if name not in before]
    kept = ("lr", "weight_decay", "decay", "drop_at", "precision")
    found = {(meta["method"], meta["data"]): [meta["schedule"][key] for key in kept] for meta in trained}
    drops = {"static": 0.5, "bl30k": 0.8, "davis+youtube_vos": 0.8333}
    assert found == {
        (method, data): [1e-5, 1e-7, "step", drop_at, "bf16"]
        for method in ("stcn", "mobilevos_r18")
        for data, drop_at in drops.items()
    }


def test_a_greedy_soup_needs_videos_that_no_training_sees(suite, tiny_youtube, capsys):
    soup = ["+ablation.soups={mixed: {pick: greedy}}"]
    assert suite(*ONE, *on_youtube(tiny_youtube), *soup) == 2
    message = "soup 'mixed' is picked on held-out training data: set training.hold_out=0.1"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dataset=youtube2018"], r"dataset 'youtube-vos-2018' needs dataset\.root="),
        (["training=davis_youtube"], r"training 'davis\+youtube_vos' needs training\.davis_root="),
        (
            ["training=davis_youtube", "training.davis_root=ROOT"],
            r"training 'davis\+youtube_vos' needs training\.youtube_root=",
        ),
        (
            ["training=davis_youtube", "training.davis_root=ROOT", "training.youtube_root=/nowhere"],
            r"training\.youtube_root: no folder /nowhere",
        ),
        (["stage1=bl30k"], r"stage1 'bl30k' needs stage1\.root="),
        (["dataset.root=ROOT/train"], r"no YouTube-VOS data at .*train/train/meta\.json not found"),
        (["dataset.split=vaild"], r"vaild/meta\.json not found"),
        (["dataset.all_frames=true"], r"no folder .*train_all_frames/JPEGImages"),
        (["dataset.judged=1"], r"dataset\.judged=1: give a share of at least 0 and below 1"),
        (["training.hold_out=ten"], r"training\.hold_out=ten: give a share"),
        (["dataset.judged=0", "dataset.unseen=0"], r"hold no video out to evaluate on"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments, message, suite, tiny_youtube, capsys):
    arguments = [argument.replace("ROOT", str(tiny_youtube)) for argument in arguments]
    others = {"dataset": [], "training": judged_on(tiny_youtube)}
    given = others.get(arguments[0].partition("=")[0], on_youtube(tiny_youtube))
    assert suite(*ONE, *given, *arguments) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line


def test_a_training_that_would_see_the_judged_videos_is_refused(tiny_youtube, tiny_davis, tmp_path, capsys):
    roots = [f"training.davis_root={tiny_davis}", f"training.youtube_root={tiny_youtube}"]
    dataset = ["dataset=youtube2019", f"dataset.root={tiny_youtube}"]
    assert main(["training=davis_youtube", *roots, *dataset, f"runs={tmp_path}"]) == 2
    assert "would learn from data that dataset 'youtube-vos-2019' evaluates on" in capsys.readouterr().err
