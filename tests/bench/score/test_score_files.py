"""job=score: the files it writes, and the one line it says when those it reads are wrong."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scoring import FIGURES, Score, complaint, noisy, save_davis, save_masks, video

from bench.record import read_records
from datasets.images import read_mask, write_mask
from reports.__main__ import main as report


@pytest.fixture
def score(tmp_path) -> Score:
    return Score(tmp_path / "out")


def test_what_is_written(score, tmp_path, capsys):
    truth = {"dog": video(0), "cows": video(1, ids=(2, 6, 9))}
    data = save_davis(tmp_path / "DAVIS", truth)
    folder = save_masks(tmp_path / "my tool", noisy(2, truth))
    assert score(folder, *data, "policy.void=background") == 0
    scores = score.scores
    assert f"J&F {100 * scores['jf_mean']:.2f}" in capsys.readouterr().out
    rows = list(csv.DictReader((score.out / "scores.csv").open()))
    assert [f"{row['sequence']}_{row['object']}" for row in rows] == list(scores["per_object"])
    for row, values in zip(rows, scores["per_object"].values(), strict=True):
        assert {key: float(row[key]) for key in FIGURES} == values
    for key in FIGURES:
        assert scores[key] == pytest.approx(np.mean([one[key] for one in scores["per_object"].values()]))
    (record,) = read_records(score.out / "records.jsonl")
    assert (record.label, record.method, record.dataset) == ("my tool", "predictions", "davis2017")
    assert (record.sequences, record.objects, record.frames, record.resolution) == (2, 5, 14, "24x32")
    assert record.jf_mean == pytest.approx(100 * scores["jf_mean"])
    assert json.loads(record.varied) == {"policy.void": "background"}
    assert report([str(score.out)]) == 0
    table = (score.out / "table.md").read_text()
    assert "my tool on davis2017 (policy.void=background)" in table
    assert f"| my tool | {record.jf_mean:.1f} |" in table


def colours(path: Path) -> None:
    Image.open(path).convert("RGB").save(path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def shrink(path: Path) -> None:
    write_mask(path, read_mask(path)[:12, :16])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (colours, r"mask .*dog/00004.png is no palette or 8-bit grey image \(mode RGB\)"),
        (truncate, r"cannot read the mask .*dog/00004.png: it is damaged"),
        (shrink, r"mask .*dog/00004.png is 12x16 but the truth .*480p/dog/00004.png is 24x32"),
        (lambda path: path.write_text("hello"), r"cannot read the mask .*dog/00004.png"),
        (Path.unlink, r"no mask .*dog/00004.png \(1 of 7"),
        (lambda path: shutil.rmtree(path.parent), r"masks of sequence dog: no folder .*masks/dog \(there: ant\)"),
    ],
)
def test_a_wrong_file_is_named_in_one_line(damage, message, score, tmp_path, capsys):
    data = save_davis(tmp_path / "DAVIS", {"ant": video(0), "dog": video(1)})
    folder = save_masks(tmp_path / "masks", {"ant": video(0), "dog": video(1)})
    damage(folder / "dog/00004.png")
    assert score(folder, *data, f"processes={2 if damage is colours else 1}") == 2
    assert re.search(message, complaint(capsys))
    assert not (score.out / "scores.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predictions=null"], r"job=score needs predictions=/path"),
        (["predictions=/nowhere"], r"predictions: no folder /nowhere"),
        (["protocol=offical"], r"unknown protocol 'offical'; known: ours, official"),
        (["policy.void=object"], r"policy.void=object: choose one of ignore, background"),
        (["policy.viod=ignore"], r"did you mean 'policy.void'"),
        (["check=vos"], r"check=vos: choose official"),
        (["processes=0"], r"processes=0"),
    ],
)
def test_a_mistake_on_the_command_line(arguments, message, score, tmp_path, capsys):
    data = save_davis(tmp_path / "DAVIS", {"dog": video(0)})
    assert score(save_masks(tmp_path / "masks", {"dog": video(0)}), *data, *arguments) == 2
    assert re.search(message, complaint(capsys))


def test_a_set_without_a_truth(score, tmp_path, capsys):
    data = save_davis(tmp_path / "DAVIS", {"dog": [video(0)[0]] + [None] * 5})
    assert score(save_masks(tmp_path / "masks", {"dog": video(0)}), *data) == 2
    assert "davis2017 has no mask to compare with" in complaint(capsys)
