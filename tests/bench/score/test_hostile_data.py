"""Data of somebody else: nothing is written but below a job's folder, and no answer is scored that is none."""

import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.__main__ import main
from bench.plan.cells import Cell, Network
from bench.plan.compose import load_config
from bench.run.evaluate_cell import evaluate_cell
from bench.run.records import cell_folder, here
from bench.score.accuracy import summarize
from bench.score.evaluate import evaluate
from bench.score.folder import Protocol, find_tasks, score_all
from bench.score.inference import NotFinite
from bench.system.errors import ConfigError
from bench.tasks import TASKS
from datasets.davis import open_davis
from datasets.images import write_mask
from datasets.sequence import Sequence, VideoSet
from methods.copy_first_mask import CopyFirstMask


def listing(root: Path) -> dict[str, int]:
    """Everything below a folder, with the time of its last change."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(root.rglob("*"))}


def youtube(root: Path, video: str) -> list[str]:
    """A video of this name in a data set, at the place that its name leads to."""
    for folder, form in (("JPEGImages", "jpg"), ("Annotations", "png")):
        place = Path(os.path.normpath(root / "train" / folder / video))
        place.mkdir(parents=True, exist_ok=True)
        for number in range(4):
            image = Image.fromarray(np.eye(24, 32, dtype=np.uint8))
            image.save(place / f"{number:05d}.{form}")
    (root / "train").mkdir(parents=True, exist_ok=True)
    frames = [f"{number:05d}" for number in range(4)]
    meta = {"videos": {video: {"objects": {"1": {"category": "cat", "frames": frames}}}}}
    (root / "train/meta.json").write_text(json.dumps(meta))
    return ["dataset=youtube2019", "dataset.split=train", f"dataset.root={root}"]


def command(place: Path, *arguments: str) -> int:
    places = [f"runs={place}/runs", f"output={place}/out", "device=cpu", "measure=false"]
    return main(["job=evaluate", "method=copy_first_mask", *places, *arguments])


@pytest.mark.parametrize("video", ["../../../victim", "{root}/victim", "..", "a/b", "cat\n", "x" * 250])
def test_a_name_that_is_a_path_is_refused_and_nothing_is_touched(video, tmp_path, capsys):
    root, place = tmp_path / "data", tmp_path / "place"
    place.mkdir()
    arguments = youtube(root, video.format(root=tmp_path))
    before = listing(tmp_path)
    assert command(place, *arguments) == 2
    assert "a video in" in (error := capsys.readouterr().err)
    assert "meta.json is called" in error
    assert {path for path in listing(tmp_path).items() if str(place) not in path[0]} <= set(before.items())


def test_a_data_set_s_own_name_is_no_path(tiny_davis, tmp_path, capsys):
    data = ["dataset=davis2017", f"dataset.root={tiny_davis}"]
    assert command(tmp_path / "place", *data, "dataset.name='../../victim'") == 2
    assert "dataset.name: the data is called '../../victim'" in capsys.readouterr().err
    assert not (tmp_path / "place/runs/cells").exists()


def test_masks_are_not_written_through_a_link(tiny_davis, tmp_path):
    videos = open_davis(tiny_davis, 2017)
    for name in ("masks", "scores"):
        (tmp_path / "victim").mkdir(exist_ok=True)
        folder = tmp_path / f"cell-{name}"
        folder.mkdir()
        (folder / name).symlink_to(tmp_path / "victim")
        with pytest.raises(ConfigError, match=rf"{name}/val-000.* leads out of .*cell-{name}"):
            evaluate(CopyFirstMask(), videos, folder, "cpu")
        assert list((tmp_path / "victim").iterdir()) == []


class Answers(CopyFirstMask):
    """Copies the first mask, but answers `value` somewhere in the frames of these numbers."""

    def __init__(self, value: float, *numbers: int) -> None:
        super().__init__()
        self.value, self.numbers = value, numbers

    def start(self, *given):
        super().start(*given)
        self.number = 0

    def step(self, frame):
        self.number += 1
        answer = super().step(frame).clone().float()
        if self.number in self.numbers:
            answer[1, 3, 5] = self.value
        return answer


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_answer_that_is_no_number_names_frame_and_sequence(value, tiny_davis, tmp_path):
    with pytest.raises(NotFinite, match=r"Answers answered NaN or infinity to frame 3 .* sequence val-000"):
        evaluate(Answers(value, 3), open_davis(tiny_davis, 2017), tmp_path, "cpu")
    assert not (tmp_path / "scores/val-000.json").exists()


@pytest.mark.parametrize("value", [1e30, 3e38, 0.0])
def test_large_answers_are_numbers(value, tiny_davis, tmp_path):
    evaluate(Answers(value, 1, 2, 3), open_davis(tiny_davis, 2017), tmp_path, "cpu")


def test_a_network_that_answers_nan_is_a_failed_row(tiny_davis, tmp_path, monkeypatch):
    """One of the suite's, after a training that diverged, say: the other rows go on."""
    config = load_config(["dataset=davis2017", f"dataset.root={tiny_davis}", "device=cpu", "measure=false"])
    dataset = {**config.dataset, "fingerprint": "x"}
    cell, setup = Cell("x", Network("copy_first_mask"), dataset, 0), here(config, tmp_path)
    monkeypatch.setattr("bench.run.evaluate_cell.build", lambda *_: Answers(float("nan"), 2))
    task = TASKS["videos"]
    record = evaluate_cell(cell, task, setup, task.open(dataset))
    assert record.status == "failed: Answers answered NaN or infinity to frame 2 (from 0) of sequence val-000"
    assert record.jf_mean is None
    assert not (cell_folder(cell, tmp_path) / "record.json").exists()


def long_video(folder: Path, frames: int) -> VideoSet:
    image, mask = Image.fromarray(np.full((200, 300, 3), 90, np.uint8)), np.zeros((200, 300), np.uint8)
    mask[50:90, 60:99] = 1
    image.save(folder / "0.jpg")
    write_mask(folder / "0.png", mask)
    for number in range(1, frames):
        for form in ("jpg", "png"):
            os.link(folder / f"0.{form}", folder / f"{number}.{form}")
    paths = [tuple(folder / f"{number}.{form}" for number in range(frames)) for form in ("jpg", "png")]
    return VideoSet("long", (Sequence("video", *paths),))


def test_the_memory_of_an_evaluation_does_not_grow_with_the_video(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.score.evaluate.HELD_MB", 0.1)
    peaks = []
    for place, frames in (("warm", 5), ("short", 5), ("long", 40)):  # the first loads what is loaded once
        (tmp_path / place).mkdir()
        videos = long_video(tmp_path / place, frames)
        tracemalloc.start()
        evaluate(CopyFirstMask(), videos, tmp_path / f"{place}-out", "cpu")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 5 * 200 * 300  # of 35 more, and as many of the ground truth


def test_scores_are_those_of_the_masks_that_were_written(tiny_davis, tmp_path):
    """To the last digit: job=score reads them and scores them on its own."""
    torch.manual_seed(0)
    videos = open_davis(tiny_davis, 2017)
    found = evaluate(CopyFirstMask(), videos, tmp_path, "cpu")
    tasks = find_tasks(videos, tmp_path / "masks", Protocol())
    assert summarize(found.scores) == summarize([one.scores for one in score_all(tasks, Protocol(), 1, "x")])
    assert [len(one.j) for one in found.scores] == [3, 3]
