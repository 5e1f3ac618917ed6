"""job=pseudo_label: videos without masks become training data."""

import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

import methods
from bench.__main__ import main
from bench.jobs import pseudo_label as job
from bench.plan.compose import load_config
from bench.run import grid
from bench.system.errors import ConfigError
from datasets.davis import open_davis
from datasets.images import read_ids


@pytest.fixture
def places(tiny_davis, tmp_path) -> dict:
    """Three clips of five frames, the first of which has a first mask, and a static image."""
    clips, masks, stills = tmp_path / "clips", tmp_path / "masks", tmp_path / "stills"
    for name in ("train-000", "train-001", "val-000"):
        shutil.copytree(tiny_davis / "JPEGImages/480p" / name, clips / name)
    (masks / "train-000").mkdir(parents=True)
    shutil.copy(tiny_davis / "Annotations/480p/train-000/00000.png", masks / "train-000")
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(tiny_davis / kind / "480p/val-001", stills / kind / "set")
    return {
        "videos": str(clips), "masks": str(masks), "paste": str(stills), "method": "copy_first_mask", "shortest": 3,
        "output": str(tmp_path / "out"), "device": "cpu",
    }  # fmt: skip


@pytest.fixture(scope="module")
def composed():
    return load_config(["job=pseudo_label"])


@pytest.fixture
def run(places, composed, tmp_path):
    def run_job(**changes) -> dict:
        config = composed.copy()
        for key, value in {**places, **changes}.items():
            config[key] = value
        assert job.run(config, tmp_path / "runs") == 0
        return json.loads((Path(config.output) / "summary.json").read_text())

    return run_job


def test_the_results_are_training_data_in_the_davis_layout(run, tmp_path, tiny_davis, capsys):
    summary = run()
    assert (summary["frames"], summary["kept"], summary["sequences"]) == (15, 15, 3)
    assert [one["first"] for one in summary["clips"].values()] == ["mask", "pasted", "pasted"]
    assert summary["clips"]["train-000"]["mean_agreement"] == 1
    assert 0 < summary["clips"]["val-000"]["mean_iou_exact"] < 1  # a copy of the first mask stays behind
    given, pasted, _ = open_davis(tmp_path / "out", 2017, "train").sequences
    source = tiny_davis / "JPEGImages/480p/train-000/00003.jpg"
    assert given.frames[3].is_symlink() and given.frames[3].read_bytes() == source.read_bytes()
    np.testing.assert_array_equal(given.annotation(3), read_ids(tmp_path / "masks/train-000/00000.png"))
    assert not pasted.frames[3].is_symlink() and pasted.annotation(0).any() and len(pasted) == 5
    assert "3 clips, 15 frames: 15 kept in 3 sequences; mean agreement 1.00\nresults: " in capsys.readouterr().out


def test_networks_learn_from_them_by_the_teachers_answers(run, tmp_path, monkeypatch):
    monkeypatch.setattr(grid, "_tracked", lambda *_: nullcontext(grid.Untracked()))
    run()
    tiny = [
        f"scale.{role}.{key}={value}"
        for role in ("teacher", "student")
        for key, value in {"steps": 1, "batch": 1, "crop": 32, "workers": 0, "length": 3}.items()
    ]
    data = [f"training.parts.labelled.root={tmp_path}/out", "dataset=davis2017", "dataset.split=train",
            f"dataset.root={tmp_path}/out", "pictures=none"]  # fmt: skip
    arguments = [
        "training=mix", "training.parts.labelled=davis", *data, "ablation=omega", "omega=[1]", "seeds=1",
        "recipe.labels=teacher", "ablation.baselines=[]", "options.width=0.125", "teacher.options.width=0.125",
        "measure=false", "processes=1", f"runs={tmp_path}/runs", f"output={tmp_path}/table", "device=cpu",
    ]  # fmt: skip
    assert main([*arguments, *tiny]) == 0


def test_a_killed_job_goes_on_with_the_clips_that_are_left(run, tmp_path, monkeypatch):
    honest, begun = job.label, []

    def killed_at(method, frame, length, mask, *rest):
        begun.append(rest[-1])
        if len(begun) == 2:
            raise KeyboardInterrupt
        return honest(method, frame, length, mask, *rest)

    monkeypatch.setattr(job, "label", killed_at)
    with pytest.raises(KeyboardInterrupt):
        run()
    summary = run()
    assert [Path(video).name for video in begun] == ["train-000", "train-001", "train-001", "val-000"]
    assert run() == summary and len(begun) == 4
    shutil.rmtree(tmp_path / "out/Annotations/480p/val-000-0")
    assert run() == summary and len(begun) == 5


def test_a_clip_that_changes_is_labelled_again_and_what_was_kept_of_it_goes(run, places, tmp_path):
    run()
    frames = Path(places["videos"]) / "train-001"
    for name in ("00002.jpg", "00003.jpg", "00004.jpg"):
        (frames / name).unlink()
    summary = run()
    assert (summary["clips"]["train-001"]["kept"], summary["sequences"]) == (0, 2)
    assert not (tmp_path / "out/Annotations/480p/train-001-0").exists()
    assert (tmp_path / "out/ImageSets/2017/train.txt").read_text() == "train-000-0\nval-000-0\n"


def test_a_folder_holds_the_labels_of_one_network_and_one_setting(run):
    run()
    with pytest.raises(
        ConfigError, match="holds labels of other videos, weights or settings: choose another output="
    ):
        run(agreement=0.5)


def test_clips_without_a_first_mask_are_left_out_and_counted(run, capsys):
    summary = run(paste=None)
    assert (summary["kept"], summary["without_first_mask"]) == (5, 2)
    assert "2 clips have no first mask" in capsys.readouterr().out


def test_sam_proposes_objects_where_its_weights_are_given(run, tmp_path):
    options = {"image_size": 64, "width": 0.25, "depth": 0.5, "decoder_channels": 64}
    state = methods.create("mobile_sam", **options).state_dict()
    torch.save({"state_dict": state, "meta": {"options": options}}, tmp_path / "sam.pt")
    summary = run(paste=None, proposals=str(tmp_path / "sam.pt"))
    assert summary["clips"]["train-000"]["first"] == "mask"  # untrained weights propose nothing, or anything
    assert {one["first"] for one in summary["clips"].values()} <= {"mask", "proposed", None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["videos=null"], "job=pseudo_label needs videos="),
        (["videos=/nowhere"], "videos: no folder /nowhere"),
        (["masks=/nowhere"], "masks: no folder /nowhere"),
        (["paste=[/nowhere]"], "paste: no folder /nowhere"),
        (["paste=null"], "no clip of .* has a first mask: give masks=.*paste=.*proposals="),
        (["method=stcn"], "job=pseudo_label with 'stcn' needs weights="),
        (["agreement=1"], "agreement=1: give a share"),
        (["proposals=/nowhere.pt"], "/nowhere.pt"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments, message, places, tmp_path, capsys):
    given = [f"{key}={value}" for key, value in places.items() if key != "masks"]
    assert main(["job=pseudo_label", *given, *arguments, f"runs={tmp_path}/runs"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line
