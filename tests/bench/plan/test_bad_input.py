"""A user's mistake gets one clear line and exit code 2; nothing already computed is lost."""

import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import methods
from bench.__main__ import main
from bench.plan.compose import choices


def complaint(capsys) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["method=stnc"], r"unknown method 'stnc'; known: .*stcn"),
        (["ablation=samplign"], rf"unknown ablation 'samplign'; known: {', '.join(choices('ablation'))}$"),
        (["dataset=davis"], r"unknown dataset 'davis'; known: davis2016"),
        (["scale.student.stesp=3"], r"no key 'scale.student.stesp'; did you mean 'scale.student.steps'"),
        (["recipe.representation.omgea=0"], r"did you mean 'recipe.representation.omega'"),
        (["scale.student.steps=many"], r"many.*Integer"),
        (["ablation"], r"'ablation' is not of the form key=value"),
        (["dataset=davis2016"], r"dataset 'davis2016' needs dataset.root="),
        (["dataset=davis2016", "dataset.root=/nowhere"], r"no folder /nowhere"),
        (["job=evaluate", "method=stcn"], r"needs weights="),
        (["device=tpu"], r"device=tpu"),
        (["seeds=[1,1]"], r"each once"),
        (["training.synthesis.smear=0"], r"training.synthesis: 'davis' holds no images with masks"),
    ],
)
def test_a_mistake_on_the_command_line(arguments, message, capsys, tiny_davis, tmp_path):
    data = [] if arguments[0].startswith("dataset") else ["dataset=davis2017", f"dataset.root={tiny_davis}"]
    training = ["training=davis", f"training.root={tiny_davis}"]
    code = main([*data, *training, f"runs={tmp_path}", f"output={tmp_path}/out", *arguments])
    assert code == 2
    line = complaint(capsys)
    assert re.search(message, line), line


@pytest.mark.parametrize(("key", "message"), [("smaer=0", "smaer"), ("smear=none", "none.*[Ff]loat")])
def test_a_mistake_in_how_clips_are_made(key, message, capsys, tmp_path):
    (tmp_path / "stills").mkdir()
    arguments = ["training=static", f"training.root={tmp_path}/stills", f"training.synthesis.{key}"]
    assert main([*arguments, f"runs={tmp_path}/runs", f"output={tmp_path}/out"]) == 2
    line = complaint(capsys)
    assert re.search(f"training.synthesis: .*{message}", line), line


@pytest.fixture
def broken_davis(tiny_davis, tmp_path):
    """A copy of the tiny set to break."""
    return shutil.copytree(tiny_davis, tmp_path / "davis")


def truncate(path):
    path.write_bytes(path.read_bytes()[:200])


def shrink(path):
    Image.open(path).resize((20, 10), Image.Resampling.NEAREST).save(path)


def empty(path):
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(path)


def sixteen_bit(path):
    Image.fromarray(np.full((48, 64), 300, np.uint16)).save(path)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("JPEGImages/480p/val-001/00002.jpg", truncate, "cannot read the image .*val-001/00002.jpg"),
        ("Annotations/480p/val-001/00000.png", shrink, "val-001/00000.png is 10x20 but its frame is 48x64"),
        ("Annotations/480p/val-001/00000.png", lambda path: path.unlink(), "val-001 has no mask for its first"),
        ("Annotations/480p/val-001/00000.png", empty, "first mask of sequence val-001 is empty"),
        ("Annotations/480p/val-001/00000.png", sixteen_bit, "object id 300 .* 254"),
    ],
)
def test_broken_data_is_named(file, damage, message, capsys, broken_davis, tmp_path):
    damage(broken_davis / file)
    code = main(
        [
            "job=evaluate",
            "method=copy_first_mask",
            "dataset=davis2017",
            f"dataset.root={broken_davis}",
            f"runs={tmp_path}/runs",
            f"output={tmp_path}/out",
        ]
    )
    assert code == 2
    assert re.search(message, complaint(capsys))


def test_a_wrong_checkpoint_is_named(capsys, tiny_davis, tmp_path):
    torch.save(methods.create("mobilevos_mnv2", width=0.25).state_dict(), tmp_path / "w.pth")
    code = main(
        [
            "job=evaluate",
            "method=mobilevos_r18",
            f"weights={tmp_path}/w.pth",
            "dataset=davis2017",
            f"dataset.root={tiny_davis}",
            f"runs={tmp_path}/runs",
            f"output={tmp_path}/out",
        ]
    )
    assert code == 2
    assert "w.pth does not fit MobileVOS" in complaint(capsys)


def test_earlier_cells_survive_a_mistake_in_a_later_one(tiny_run, capsys, tiny_davis):
    assert tiny_run("job=evaluate", "method=copy_first_mask") == 0
    before = tiny_run.records
    assert tiny_run("job=evaluate", "method=stcn", "weights=/nowhere.pth") == 2
    assert "checkpoint not found: /nowhere.pth" in complaint(capsys)
    assert tiny_run.records == before
