"""A data layout from outside the suite: one module, no line of ours, from the command line to the record."""

import re
import shutil
import sys
from importlib import import_module
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.record import read_records
from datasets import layouts

MODULE = """
from pathlib import Path
from datasets.layouts import Layout, register
from datasets.sequence import Sequence, VideoSet

def open_listed(root: Path, name: str, listing: str = "all.txt") -> VideoSet:
    '''Lines `<video> <frame> <mask>` of a text file; files lie where it says.'''
    videos = {}
    for line in (root / listing).read_text().splitlines():
        video, frame, mask = line.split()
        videos.setdefault(video, []).append((root / frame, root / mask))
    return VideoSet(name, tuple(Sequence(video, *zip(*pairs)) for video, pairs in videos.items()))

LISTED = Layout(videos=open_listed, evaluation={}, training={"listing": "train.txt"})
register("listed", LISTED)
NOT_FOR_TRAINING = Layout(videos=open_listed, evaluation={})
"""


@pytest.fixture
def listed(tiny_davis, tmp_path, monkeypatch) -> Path:
    """The tiny set with all files in one folder, and the module `my_layouts` that opens it."""
    monkeypatch.setattr(layouts, "LAYOUTS", dict(layouts.LAYOUTS))
    (tmp_path / "my_layouts.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_layouts", raising=False)
    root = tmp_path / "data"
    root.mkdir()
    lines = {"val": [], "train": []}
    for frame in sorted((tiny_davis / "JPEGImages/480p").glob("*/*.jpg")):
        video, stem = frame.parent.name, frame.stem
        shutil.copy(frame, root / f"{video}-{stem}.jpg")
        shutil.copy(tiny_davis / f"Annotations/480p/{video}/{stem}.png", root / f"{video}-{stem}.png")
        lines[video.partition("-")[0]].append(f"{video} {video}-{stem}.jpg {video}-{stem}.png\n")
    for name, split in (("all", "val"), ("train", "train")):
        (root / f"{name}.txt").write_text("".join(lines[split]))
    return root


def run(tmp_path: Path, *arguments: str) -> int:
    places = [f"runs={tmp_path}/runs", f"output={tmp_path}/out"]
    return main([*places, "measure=false", "device=cpu", "processes=1", *arguments])


def score(tmp_path: Path) -> dict[str, float]:
    return {record.label: record.jf_mean for record in read_records(tmp_path / "out/records.jsonl")}


def test_a_registered_layout_is_evaluated_on_as_davis_is(listed, tiny_davis, tmp_path):
    import_module("my_layouts")  # which registers it
    own = ["dataset=folder", "dataset.kind=listed", "dataset.name=own", f"dataset.root={listed}"]
    assert run(tmp_path, "job=evaluate", "method=copy_first_mask", *own) == 0
    (found,) = score(tmp_path).values()
    davis = ["dataset=davis2017", f"dataset.root={tiny_davis}"]
    assert run(tmp_path, "job=evaluate", "method=copy_first_mask", *davis) == 0
    assert 0 < found < 100 and list(score(tmp_path).values()) == [found]


def test_a_layout_that_its_place_names_is_trained_on(listed, tmp_path):
    sizes = {"steps": 1, "batch": 2, "crop": 32, "length": 3}
    tiny = [f"scale.{role}.{key}={value}" for role in ("teacher", "student") for key, value in sizes.items()]
    own = ["dataset=folder", "training=bl30k"]
    for key in ("dataset", "training"):
        own += [f"{key}.kind=my_layouts:LISTED", f"{key}.name=own", f"{key}.root={listed}"]
    grid = ["ablation=omega", "omega=[0]", "recipe=supervised", "seeds=1", "ablation.baselines=[]"]
    assert run(tmp_path, *grid, *tiny, *own) == 0
    (record,) = read_records(tmp_path / "out/records.jsonl")
    assert (record.status, record.train_clips, record.dataset, record.sequences) == ("ok", "own", "own", 2)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("my_layouts:NOT_FOR_TRAINING", "training 'bl30k': data of the kind .* is not for training"),
        ("lisetd", "unknown data layout 'lisetd'"),
    ],
)
def test_a_mistake_is_told_in_one_line(kind, message, listed, tmp_path, capsys):
    own = ["training=bl30k", f"training.kind={kind}", f"training.root={listed}"]
    assert run(tmp_path, "ablation=omega", *own) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line
