"""State, files and code that are not what they should be: told in a line, and nothing that is done is lost."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import methods
from bench.measure import room
from bench.tracking.tracker import _origin
from datasets.images import write_mask

ROOT = Path(__file__).resolve().parents[3]
EXITS = {
    "at import": "    pass\n\n\nimport sys\nsys.exit(0)",
    "when made": "def __init__(self):\n        raise SystemExit(0)",
    "when started": "def start(self, frame, mask):\n        raise SystemExit",
    "in a step": "def step(self, frame):\n        raise SystemExit(0)",
}


# Code of others.


@pytest.mark.parametrize("where", ["when made", "when started", "in a step"])
def test_a_method_that_ends_the_program_has_failed_and_the_others_go_on(tiny_run, mine, where):
    name = mine(EXITS[where].replace("\n        ", "\n    "))
    assert tiny_run("job=compare", f"methods=[{name},copy_first_mask]") == 0
    own, theirs = tiny_run.records
    assert re.match(r"failed: \S*mine\.py:6: SystemExit(: 0)?$", own.status)
    assert theirs.status == "ok"


@pytest.mark.parametrize("where", EXITS)
def test_a_job_for_it_alone_ends_with_an_error(tiny_run, mine, where, told):
    name = mine(EXITS[where].replace("\n        ", "\n    "))
    code = tiny_run("job=check", f"method={name}")
    assert code in (1, 2), "and not 0, whatever the method says"


def test_a_training_that_ends_the_program_has_failed(small_grid, monkeypatch):
    from bench.train.learner import Learner

    def learn(self, *rest):
        raise SystemExit(0)

    monkeypatch.setattr(Learner, "learn", learn)
    assert small_grid() == 1
    assert {record.status.partition("(")[0] for record in small_grid.records} == {"failed: SystemExit: 0"}


# State.


@pytest.mark.parametrize("content", ["[]", "3", '{"label": 5}', '{"per_sequence": {}}', "[" * 100_000])
def test_other_json_in_the_place_of_a_record_is_evaluated_again(done_grid, finished_grid, learnt, content, capsys):
    path = done_grid.cells[0] / "record.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | json.loads(content)) if content.startswith("{") else content)
    assert done_grid() == 0
    assert done_grid.scores == finished_grid.scores
    assert json.loads(path.read_text())["jf_mean"] == whole["jf_mean"]
    assert learnt == []
    assert capsys.readouterr().err.count("kept as record.json.damaged, made anew") == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"x" * 100])
def test_another_origin_is_made_anew(tmp_path, content):
    (tmp_path / "origin").write_bytes(content)
    found = _origin(tmp_path)
    assert re.fullmatch("[0-9a-f]{32}", found)
    assert _origin(tmp_path) == found
    assert (tmp_path / "origin.damaged").read_bytes() == content


@pytest.mark.parametrize("content", [[1], {"step": 3}, {"state_dict": {}, "meta": 3, "curve": []}, None])
def test_weights_of_another_kind_are_trained_again(done_grid, finished_grid, learnt, content):
    torch.save(content, done_grid.students[0] / "weights.pt")
    shutil.rmtree(done_grid.runs / "cells")
    assert done_grid() == 0
    assert done_grid.scores == finished_grid.scores
    assert learnt


def test_a_network_that_has_lost_its_numbers_has_failed_and_the_others_go_on(done_grid):
    path = done_grid.students[0] / "weights.pt"
    content = torch.load(path, weights_only=True)
    key = next(key for key, tensor in content["state_dict"].items() if tensor.is_floating_point())
    content["state_dict"][key] *= float("nan")
    torch.save(content, path)
    shutil.rmtree(done_grid.runs / "cells")
    assert done_grid() == 0
    statuses = sorted(record.status for record in done_grid.records)
    assert statuses[1] == "ok"
    assert statuses[0] == f"failed: {path} holds values that are no numbers (NaN or infinite): {key}"


# Memory.


def test_frames_that_no_memory_can_hold_are_a_failed_row(tiny_run, tmp_path, monkeypatch):
    torch.save(methods.create("mobilevos_r18", width=0.125).state_dict(), tmp_path / "weights.pt")
    monkeypatch.setattr(room, "SMALL_FRAME", 0)
    monkeypatch.setattr(room, "free_memory", lambda device: 1000)
    arguments = ["method=mobilevos_r18", "options.width=0.125", f"weights={tmp_path}/weights.pt"]
    assert tiny_run("job=evaluate", *arguments) == 1
    (record,) = tiny_run.records
    assert record.status.startswith("failed: out of memory: frames of 48x64 with ")


# Disks.


@pytest.fixture
def only_read(done_grid) -> Iterator[Path]:
    """The folder of runs on a disk that is only read."""
    runs, command = str(done_grid.runs), ["mount", "--bind"]
    assert done_grid() == 0
    mounts = [[*command, runs, runs], ["mount", "-o", "remount,bind,ro", runs]]
    if os.geteuid() or any(subprocess.run(each, capture_output=True, check=False).returncode for each in mounts):
        subprocess.run(["umount", "-l", runs], capture_output=True, check=False)
        pytest.skip("only root can mount a file system")
    try:
        yield done_grid.runs
    finally:
        subprocess.run(["umount", "-l", runs], check=True)


def test_what_is_finished_on_a_disk_that_is_only_read_is_shown(done_grid, finished_grid, only_read, capsys):
    shutil.rmtree(done_grid.out)
    assert done_grid() == 0
    assert done_grid.scores == finished_grid.scores
    assert f"warning: {only_read} cannot be written to: what is finished is shown" in capsys.readouterr().err


def test_what_is_not_finished_there_is_told_in_a_line(done_grid, only_read, told):
    assert done_grid("seeds=[0,1]") == 2
    assert re.match(rf"error: {only_read}/\S+: Read-only file system", told()[-1])


# Scripts, and what they print.


@pytest.mark.parametrize("name", ["run_all.sh", "run_tests.sh"])
def test_the_scripts_may_be_called_through_links(tmp_path, name):
    """Also through links to links, and relative ones; it is the script's own folder that counts."""
    for folder in ("suite/bench", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / name, tmp_path / "suite" / name)
    (tmp_path / "suite/bench/setup.sh").write_text("echo found it; exit 0\n")
    (tmp_path / "link").symlink_to(tmp_path / "suite" / name)
    (tmp_path / "bin/vos").symlink_to("../link")
    found = subprocess.run(["bash", tmp_path / "bin/vos"], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout == "found it\n"


def test_warnings_of_libraries_end_nothing(tmp_path):
    """The script leaves PYTHONWARNINGS=error to those who mend a library."""
    (tmp_path / "bench").mkdir()
    shutil.copy(ROOT / "run_all.sh", tmp_path / "run_all.sh")
    (tmp_path / "bench/setup.sh").write_text('set_up() { python="$PWD/python"; }\n')
    (tmp_path / "python").write_text('#!/usr/bin/env bash\necho "warnings: ${PYTHONWARNINGS-as ever}"\n')
    (tmp_path / "python").chmod(0o755)
    more = os.environ | {"PYTHONWARNINGS": "error"}
    command = ["bash", "run_all.sh"]
    found = subprocess.run(command, cwd=tmp_path, env=more, capture_output=True, text=True, check=True)
    assert found.stdout == "warnings: as ever\n"


def test_frames_of_a_single_pixel_have_pictures(tmp_path, tiny_run):
    """As narrow as can be: of one column, of one row, of one pixel."""
    data = tmp_path / "data"
    names = ["column", "pixel", "row"]
    for name, size in zip(names, [(40, 1), (1, 1), (1, 40)], strict=True):
        for kind in ("JPEGImages", "Annotations"):
            (data / f"{kind}/480p/{name}").mkdir(parents=True)
        for number in range(3):
            image = Image.new("RGB", size[::-1], (90, 90, 90))
            image.save(data / f"JPEGImages/480p/{name}/{number:05d}.jpg")
            write_mask(data / f"Annotations/480p/{name}/{number:05d}.png", np.ones(size, np.uint8))
    (data / "ImageSets/2017").mkdir(parents=True)
    (data / "ImageSets/2017/val.txt").write_text("\n".join(names))
    arguments = ["job=evaluate", "method=copy_first_mask", f"dataset.root={data}", "pictures=[column,pixel,row]"]
    assert tiny_run(*arguments) == 0
    (record,) = tiny_run.records
    assert record.status == "ok" and json.loads(record.pictures).keys() == set(names)
    report = [sys.executable, "-m", "reports", str(tiny_run.out)]
    told = subprocess.run(report, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert len(list(tiny_run.out.rglob("errors_*.mp4"))) == 3
