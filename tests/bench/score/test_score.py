"""job=score: masks are evaluated as the official tool does, or as the policies say where it errs."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from scoring import FIGURES, SIZE, Score, complaint, noisy, save_davis, save_masks, slow_figures, video, write_grey

import methods
from bench.record import read_records
from bench.score.accuracy import summarize
from bench.score.evaluate import evaluate
from datasets.davis import open_davis
from datasets.images import write_mask


@pytest.fixture
def score(tmp_path) -> Score:
    return Score(tmp_path / "out")


# --- the official tool's recordings, and second opinions -------------------------------------------


@pytest.mark.parametrize(("protocol", "processes"), [("ours", 1), ("official", 2)])
@pytest.mark.parametrize(
    ("recording", "predictions", "dataset"),
    [
        ("davis2016_subset_480p_binary", "osvos_binary_480p", "davis2016"),
        ("bmx-trees_multi_480p", "osvos_multi_480p", "davis2017"),
    ],
)
def test_official_scores(shared, recording, predictions, dataset, protocol, processes, score, tmp_path):
    root = shared / "data/davis2016-subset-480p"
    if dataset == "davis2017":  # the same frames with two objects in the masks
        frames, root = root / "JPEGImages", tmp_path / "DAVIS"
        (root / "ImageSets/2017").mkdir(parents=True)
        (root / "ImageSets/2017/val.txt").write_text("bmx-trees\n")
        (root / "Annotations").mkdir()
        (root / "Annotations/480p").symlink_to(shared / "golden/jf/gt_multi_480p")
        (root / "JPEGImages").symlink_to(frames)
    data = [f"dataset={dataset}", f"dataset.root={root}"]
    folder = shared / "golden/jf" / predictions
    assert score(folder, *data, f"protocol={protocol}", f"processes={processes}") == 0
    official = json.loads((shared / "golden/jf/official_scores.json").read_text())[recording]
    for key in FIGURES:
        expected = official[key.replace("jf", "JF").replace("j_", "J_").replace("f_", "F_")]
        assert score.scores[key] == pytest.approx(expected, abs=1e-9), key
    for measure in "JF":
        found = {name: one[f"{measure.lower()}_mean"] for name, one in score.scores["per_object"].items()}
        assert found == pytest.approx(official[f"{measure}_per_object"], abs=1e-9)


def test_the_official_tool_agrees_if_it_is_installed(score, tmp_path, capsys):
    pytest.importorskip(
        "davis2017.evaluation", reason="davis2017-evaluation is not installed: bench/requirements-official.txt"
    )
    truth = {"gap": video(0, ids=(1, 3)), "long": video(1, 303, (1,)), "one": video(2, ids=(1,))}
    truth["gap"][4][:] = 0
    truth["gap"][5][2:6] = 255
    data = save_davis(tmp_path / "DAVIS", truth)
    folder = save_masks(tmp_path / "masks", noisy(3, truth) | {"one": video(4, ids=(255,))}, write_grey)
    (shutil.rmtree(folder / "gap"), save_masks(folder, {"gap": video(5, ids=(2, 3))}))
    assert score(folder, *data, "protocol=official", "check=official") == 0
    check = score.scores["check"]
    assert check["objects"] == 5
    assert check["largest_difference"] < 1e-9
    assert "official: largest difference" in capsys.readouterr().out


def test_without_the_official_tool_the_check_says_how_to_install_it(score, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "davis2017.evaluation", None)
    data = save_davis(tmp_path / "DAVIS", {"dog": video(0)})
    folder = save_masks(tmp_path / "masks", {"dog": video(0)})
    assert score(folder, *data, "check=official") == 2
    line = complaint(capsys)
    file = re.search(r"pip install --no-deps -r (\S+)", line)[1]
    assert "davis2017 @ git" in (Path(__file__).parents[3] / file).read_text()


def test_vos_benchmark_agrees_if_it_is_installed(score, tmp_path):
    benchmark = pytest.importorskip(
        "vos_benchmark.benchmark", reason="vos-benchmark is not installed: bench/requirements-official.txt"
    )
    truth = {"a": video(0), "b": video(1, ids=(3, 7, 40)), "c": video(2, ids=(1,))}
    data = save_davis(tmp_path / "DAVIS", truth)
    folder = save_masks(tmp_path / "masks", noisy(3, truth))
    assert score(folder, *data) == 0
    annotations = str(tmp_path / "DAVIS/Annotations/480p")
    jf, j, f, objects = benchmark.benchmark([annotations], [str(folder)], num_processes=1, verbose=False)
    assert [score.scores[key] for key in ("jf_mean", "j_mean", "f_mean")] == pytest.approx(
        [jf[0] / 100, j[0] / 100, f[0] / 100], abs=1e-9
    )
    for name, (ious, boundaries) in objects[0].items():
        for i in ious:
            found = score.figures(f"{name}_{i}")
            expected = [ious[i] / 100, boundaries[i] / 100]
            assert [found["j_mean"], found["f_mean"]] == pytest.approx(expected, abs=1e-9)


def test_the_masks_of_an_evaluation_get_its_scores(score, tiny_davis, tmp_path):
    data = ["dataset=davis2017", f"dataset.root={tiny_davis}"]
    evaluation = evaluate(methods.create("copy_first_mask"), open_davis(tiny_davis, 2017), tmp_path, "cpu")
    assert score(tmp_path / "masks", *data) == 0
    expected = summarize(evaluation.scores)
    assert {key: score.scores[key] for key in expected} == expected


# --- what is evaluated, against brute force -----------------------------------------------------------


def edited(masks: list[np.ndarray], frames, change) -> list[np.ndarray]:
    """A copy in which `change` has altered some frames in place."""
    copies = [mask.copy() for mask in masks]
    for t in frames:
        change(copies[t])
    return copies


def without(object_id: int):
    return lambda mask: mask.__setitem__(mask == object_id, 0)


def with_void(mask: np.ndarray) -> None:
    mask[5:13, 7:20] = 255


HIDDEN = edited(video(0), range(3, 6), without(1))
CASES = {
    "leaves-and-returns": (HIDDEN, video(1)),
    "is-not-predicted-meanwhile": (HIDDEN, edited(video(0), (3, 4), without(1))),
    "leaves-for-good": (edited(video(0), range(4, 9), without(2)), video(1)),
    "is-seen-in-the-first-frame-alone": (edited(video(0), range(1, 9), without(2)), video(1)),
    "is-never-predicted": (video(0), edited(video(1), range(9), without(2))),
    "nothing-predicted": (video(0), edited(video(1), range(9), lambda mask: mask.fill(0))),
    "nothing-there": (edited(video(0), range(1, 9), lambda mask: mask.fill(0)), video(1)),
}


@pytest.mark.parametrize("protocol", ["ours", "official"])
def test_objects_that_come_and_go(protocol, score, tmp_path):
    data = save_davis(tmp_path / "DAVIS", {case: truth for case, (truth, _) in CASES.items()})
    folder = save_masks(tmp_path / "masks", {case: predicted for case, (_, predicted) in CASES.items()})
    assert score(folder, *data, f"protocol={protocol}") == 0
    assert len(score.scores["per_object"]) == 2 * len(CASES)
    for case, (truth, predicted) in CASES.items():
        for i in (1, 2):
            expected = slow_figures(predicted, truth, i, range(1, 8))
            assert score.figures(f"{case}_{i}") == pytest.approx(expected, abs=1e-9), case


def test_void_is_ignored_or_background(score, tmp_path):
    truth, predicted = {}, {"dog": video(1), "ant": video(3, ids=(1,))}
    for name, masks in {"dog": video(0), "ant": video(2, ids=(1,))}.items():
        truth[name] = edited(masks, range(2, 7), with_void)
        truth[name][4][truth[name][4] < 255] = 0  # void alone is no object either
    data = save_davis(tmp_path / "DAVIS", truth)
    folder = save_masks(tmp_path / "masks", predicted)
    cut = {
        name: [np.where(t == 255, 0, p) for p, t in zip(predicted[name], truth[name], strict=True)]
        for name in truth
    }
    found = {}
    for void, masks in {"ignore": cut, "background": predicted}.items():
        assert score(folder, *data, f"policy.void={void}") == 0
        for name, i in (("dog", 1), ("dog", 2), ("ant", 1)):
            figures = slow_figures(masks[name], truth[name], i, range(1, 8))
            assert score.figures(f"{name}_{i}") == pytest.approx(figures, abs=1e-9)
        found[void] = score.scores["j_mean"]
    assert found["ignore"] > found["background"]
    for protocol, void in {"ours": "ignore", "official": "background"}.items():
        assert score(folder, *data, f"protocol={protocol}") == 0
        assert score.scores["j_mean"] == found[void]


def test_ids_that_are_not_judged_are_ignored_or_refused(score, tmp_path, capsys):
    truth, predicted = video(0), video(1)
    predicted[3][20:24, 0:9] = 7
    predicted[6][predicted[6] > 0] = 255  # a mask of 0 and 255 cannot tell two objects apart
    data = save_davis(tmp_path / "DAVIS", {"dog": truth})
    folder = save_masks(tmp_path / "masks", {"dog": predicted}, write_grey)
    assert score(folder, *data) == 0
    assert re.search(
        r"warning: ids that are not judged .*: 2 mask.*id 7 in .*dog/00003.png", capsys.readouterr().err
    )
    for i in (1, 2):
        expected = slow_figures(predicted, truth, i, range(1, 8))
        assert score.figures(f"dog_{i}") == pytest.approx(expected, abs=1e-9)
    for word in ("policy.extra=error", "protocol=official"):
        assert score(folder, *data, word) == 2
        assert re.search(r"dog/00003.png holds id 7.*sequence dog \(1, 2\)", complaint(capsys))


def test_missing_masks_are_an_error_or_empty(score, tmp_path, capsys):
    truth = video(0)
    predicted = [None if t in (3, 5) else mask for t, mask in enumerate(video(1))]
    data = save_davis(tmp_path / "DAVIS", {"dog": truth})
    folder = save_masks(tmp_path / "masks", {"dog": predicted})
    assert score(folder, *data) == 2
    assert re.search(r"dog/00003.png \(2 of 7 judged ones.*00000.png, ..., 00008.png", complaint(capsys))
    assert score(folder, *data, "policy.missing=empty") == 0
    filled = [np.zeros(SIZE, np.uint8) if mask is None else mask for mask in predicted]
    for i in (1, 2):
        expected = slow_figures(filled, truth, i, range(1, 8))
        assert score.figures(f"dog_{i}") == pytest.approx(expected, abs=1e-9)


def test_late_objects_and_gaps_below_the_largest_id(score, tmp_path):
    """First mask: 1 and 4. 2 comes later, 3 never, 9 later and above the largest."""
    late = video(2, ids=(2, 9))
    truth = [
        np.where((t > 3) & (m == 0), n, m) for t, (m, n) in enumerate(zip(video(0, ids=(1, 4)), late, strict=True))
    ]
    predicted = video(1, ids=(1, 2, 4))
    data = save_davis(tmp_path / "DAVIS", {"dog": truth})
    folder = save_masks(tmp_path / "masks", {"dog": predicted})
    for protocol, ids in (("ours", (1, 4)), ("official", (1, 2, 3, 4))):
        assert score(folder, *data, f"protocol={protocol}") == 0
        assert list(score.scores["per_object"]) == [f"dog_{i}" for i in ids]
        for i in ids:
            expected = slow_figures(predicted, truth, i, range(1, 8))
            assert score.figures(f"dog_{i}") == pytest.approx(expected, abs=1e-9)
    assert score.figures("dog_3")["jf_mean"] == 1


def test_decay_of_long_videos(score, tmp_path):
    """Quarters of 360 evaluated frames: 0..90 and 269..359, in 8 bits 0..90 and 13..103; of 260 none is left."""
    small = np.zeros((6, 8), np.uint8)
    small[1:4, 1:5] = 1
    half = np.where(np.arange(8) < 3, small, 0).astype(np.uint8)  # J 0.5
    lengths = {"long": 362, "shorter": 262}
    data = save_davis(tmp_path / "DAVIS", {name: [small] * length for name, length in lengths.items()})
    predicted = {name: [small if t <= 50 else half for t in range(length)] for name, length in lengths.items()}
    folder = save_masks(tmp_path / "masks", predicted)
    assert score(folder, *data) == 0
    # The first 50 evaluated frames are right; 65 is a quarter of 260 (0..65: 66 frames).
    assert score.figures("long_1")["j_decay"] == pytest.approx((50 + 41 / 2) / 91 - 0.5, abs=1e-9)
    assert score.figures("shorter_1")["j_decay"] == pytest.approx((50 + 16 / 2) / 66 - 0.5, abs=1e-9)
    assert score(folder, *data, "protocol=official") == 0
    in_8_bits = (50 + 41 / 2) / 91 - (37 + 54 / 2) / 91
    assert score.figures("long_1")["j_decay"] == pytest.approx(in_8_bits, abs=1e-9)
    assert score.figures("shorter_1")["j_decay"] is None
    (record,) = read_records(score.out / "records.jsonl")
    assert record.j_decay is None
    assert record.j_mean == pytest.approx(100 * score.scores["j_mean"])


def test_only_judged_frames_are_read(score, tmp_path):
    """Neither the first and the last mask nor those of frames without a truth need be there."""
    truth, predicted = video(0), video(1)
    sparse = [mask if t % 2 == 0 or t == 1 else None for t, mask in enumerate(truth)]
    data = save_davis(tmp_path / "DAVIS", {"dog": sparse})
    judged = (1, 2, 4, 6)
    folder = save_masks(tmp_path / "masks", {"dog": [m if t in judged else None for t, m in enumerate(predicted)]})
    assert score(folder, *data) == 0
    for i in (1, 2):
        expected = slow_figures(predicted, truth, i, judged)
        assert score.figures(f"dog_{i}") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("year", [2016, 2017])
@pytest.mark.parametrize("write", [write_mask, write_grey])
def test_masks_of_0_and_255_show_the_one_object(write, year, score, tmp_path):
    truth, predicted = video(0, ids=(1,)), video(1, ids=(1,))
    data = save_davis(tmp_path / "DAVIS", {"dog": [255 * mask for mask in truth]}, year)
    folder = save_masks(tmp_path / "masks", {"dog": [255 * mask for mask in predicted]}, write)
    assert score(folder, *data) == 0
    assert score.figures("dog_1") == pytest.approx(slow_figures(predicted, truth, 1, range(1, 8)), abs=1e-9)


def test_davis_2016_merges_the_objects(score, tmp_path):
    truth, predicted = video(0), video(1)
    data = save_davis(tmp_path / "DAVIS", {"dog": truth}, 2016)
    assert score(save_masks(tmp_path / "masks", {"dog": predicted}), *data) == 0
    merged = ([(mask > 0).astype(int) for mask in masks] for masks in (predicted, truth))
    assert score.figures("dog_1") == pytest.approx(slow_figures(*merged, 1, range(1, 8)), abs=1e-9)


def test_youtube_vos_judges_late_objects_and_classes_apart(score, tmp_path):
    """Object 5 appears in frame 2: it is evaluated from frame 3 to the last; 1 from frame 1."""
    truth = {name: edited(video(seed, ids=(1, 5)), (0, 1), without(5)) for seed, name in enumerate("xyz")}
    predicted = {name: video(9 + seed, ids=(1, 5)) for seed, name in enumerate("xyz")}
    classes = {"x": ("cat", "owl"), "y": ("cat", "dog"), "z": ("dog", "cat")}
    root = tmp_path / "YouTube-VOS"
    save_davis(tmp_path / "DAVIS", truth)
    shutil.copytree(tmp_path / "DAVIS/Annotations/480p", root / "train/Annotations")
    shutil.copytree(tmp_path / "DAVIS/JPEGImages/480p", root / "train/JPEGImages")
    stems = [f"{t:05d}" for t in range(9)]
    meta = {
        name: {"objects": {"1": {"category": a, "frames": stems}, "5": {"category": b, "frames": stems[2:]}}}
        for name, (a, b) in classes.items()
    }
    (root / "train/meta.json").write_text(json.dumps({"videos": meta}))
    data = ["dataset=youtube2019", f"dataset.root={root}"]
    assert score(save_masks(tmp_path / "masks", predicted), *data, "dataset.judged=0.4", "processes=2") == 0
    judged = {name.split("_")[0] for name in score.scores["per_object"]}
    assert judged  # videos are held out by the hash of their names
    for name in judged:
        for i, start in ((1, 1), (5, 3)):
            expected = slow_figures(predicted[name], truth[name], i, range(start, 9))
            assert score.figures(f"{name}_{i}") == pytest.approx(expected, abs=1e-9)
    (record,) = read_records(score.out / "records.jsonl")
    parts = [x for x in (record.j_seen, record.f_seen, record.j_unseen, record.f_unseen) if x is not None]
    assert record.jf_mean == pytest.approx(np.mean(parts))
    assert record.j_unseen is not None
    rows = list(csv.DictReader((score.out / "scores.csv").open()))
    assert {(row["object"], row["frames"]) for row in rows} == {("1", "8"), ("5", "6")}
    assert all(row["class"] == classes[row["sequence"]][row["object"] == "5"] for row in rows)
    assert score(tmp_path / "masks", *data, "protocol=official") == 2
