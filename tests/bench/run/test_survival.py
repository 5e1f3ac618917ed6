"""kill -9 at every moment, and files that a disk has damaged: the same command then gives the same scores."""

import json
import os
import re
import time
from pathlib import Path

import faults
import pytest

from bench.measure import full_size
from bench.train import group
from bench.train.learner import Learner
from tests.bench.conftest import STEPS


@pytest.mark.parametrize(
    ("fault", "values", "first_step"),
    [
        (faults.kill_before_step, (2,), 2),
        pytest.param(faults.kill_while_writing, ("last", 1), 0, marks=pytest.mark.slow),
        (faults.kill_while_writing, ("last", 4), 1),  # the second student's of step 2: it has the one before
        pytest.param(faults.kill_while_writing, ("weights", 1), STEPS, marks=pytest.mark.slow),
        (faults.kill_while_judging, (3,), None),
    ],
    ids=["training", "first checkpoint", "later checkpoint", "weights", "judging"],
)
def test_after_kill_9_the_same_command_gives_the_same_scores(
    small_grid, finished_grid, tmp_path, learnt, fault, values, first_step
):
    """Checkpoints are written after every step here; usually it is SECONDS_BETWEEN_CHECKPOINTS that are redone."""
    assert faults.disturbed(small_grid.arguments, tmp_path / "told", fault, *values) == -9
    assert small_grid() == 0
    assert small_grid.scores == finished_grid.scores
    assert min(learnt, default=None) == (None if first_step in (None, STEPS) else first_step)
    assert not list(small_grid.runs.rglob(".*.tmp*"))


def stop_before_last_step(grid, monkeypatch) -> None:
    """Leaves last.pt of the step before and previous.pt of the one before that."""
    honest = Learner.learn

    def learn(self, *rest):
        if self.step == STEPS - 1:
            raise KeyboardInterrupt
        return honest(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", learn)
        patch.setattr(group, "SECONDS_BETWEEN_CHECKPOINTS", -1)
        assert grid() == 130


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """One byte, where the numbers are: torch itself would load the file and say nothing."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [pytest.param(truncate, marks=pytest.mark.slow), flip])
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    small_grid, finished_grid, monkeypatch, learnt, capsys, damage
):
    stop_before_last_step(small_grid, monkeypatch)
    damage(small_grid.students[0] / "last.pt")
    learnt.clear()
    assert small_grid() == 0
    assert sorted(learnt) == [STEPS - 2, STEPS - 1, STEPS - 1]
    assert small_grid.scores == finished_grid.scores
    assert capsys.readouterr().err.count("going on from an earlier checkpoint") == 1


@pytest.mark.parametrize("damage", [truncate, pytest.param(flip, marks=pytest.mark.slow)])
def test_damaged_weights_are_told_and_trained_again(done_grid, finished_grid, learnt, capsys, damage):
    student, cell = done_grid.students[0], done_grid.cells[0]
    damage(student / "weights.pt")
    for path in (cell / "record.json", *cell.glob("scores/*")):
        path.unlink()
    assert done_grid() == 0
    assert learnt == list(range(STEPS))
    assert done_grid.scores == finished_grid.scores
    assert capsys.readouterr().err.count(f"{student / 'weights.pt'} is damaged: it is made again") == 1


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def other_content(path: Path) -> None:
    """What is JSON, or a picture, but not of the kind that belongs there."""
    path.write_bytes(b"{}" if path.suffix == ".json" else b"")


@pytest.mark.parametrize("damage", [truncate, garbage, other_content])
@pytest.mark.parametrize("finished", [True, False], ids=["finished", "half done"])
def test_damaged_files_of_a_cell_are_made_again(done_grid, finished_grid, learnt, damage, finished):
    one, two = done_grid.cells
    damaged = [one / "curve.json", one / "overlay.png", two / "record.json"]
    if not finished:
        (one / "record.json").unlink()
        damaged += [one / "scores/val-000.json", one / "masks/val-001/00002.png", two / "scores/val-001.json"]
    for path in damaged:
        damage(path)
    assert done_grid() == 0
    assert done_grid.scores == finished_grid.scores
    assert learnt == []
    for path in damaged:
        whole = finished_grid.runs / path.relative_to(done_grid.runs)
        if path.name == "record.json":
            assert json.loads(path.read_text())["jf_mean"] == json.loads(whole.read_text())["jf_mean"]
        elif path.parent.name == "scores":
            assert json.loads(path.read_text())["j"] == json.loads(whole.read_text())["j"]
        else:
            assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("damage", [truncate, garbage, other_content])
def test_damaged_measurements_are_made_again(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(full_size, "MEASURES", {"gmacs_full": lambda *_: {"gmacs_full": 4.5}})

    def measured() -> dict:
        return full_size.measured("stcn", {"width": 0.125}, ["gmacs_full"], tmp_path, "cpu")

    assert measured() == {"gmacs_full": 4.5}
    (path,) = tmp_path.glob("measured/*.json")
    damage(path)
    assert measured() == {"gmacs_full": 4.5} == json.loads(path.read_text())


def test_a_damaged_mlflow_database_costs_no_scores(done_grid, finished_grid, capsys):
    garbage(done_grid.runs / "mlflow.db")
    assert done_grid() == 0
    assert done_grid.scores == finished_grid.scores
    told = capsys.readouterr().err
    assert told.count("warning: MLflow at ") == 1
    assert re.search(r"\d+ runs? for MLflow kept in", told)


def test_a_clock_that_jumps_changes_nothing(small_grid, finished_grid, monkeypatch, learnt):
    """A year back in the middle of a training, and files from the future."""
    honest, jumps, now = Learner.learn, [], time.time

    def learn(self, *rest):
        jumps.append(-365 * 86400.0 * len(jumps))
        return honest(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", learn)
        patch.setattr(time, "time", lambda: now() + sum(jumps))
        patch.setattr(time, "time_ns", lambda: int(1e9 * (now() + sum(jumps))))
        stop_before_last_step(small_grid, monkeypatch)
        for path in small_grid.runs.rglob("*"):
            os.utime(path, (now() + 1e9, now() + 1e9))
        learnt.clear()
        assert small_grid() == 0
    assert learnt == [STEPS - 1, STEPS - 1]
    assert small_grid.scores == finished_grid.scores
    learnt.clear()
    assert small_grid() == 0
    assert learnt == []


def test_a_record_that_lacks_a_column_is_evaluated_again_and_trained_no_more(done_grid, finished_grid, learnt):
    """It is of a version of the suite that did not have it yet."""
    place = done_grid.cells[0] / "record.json"
    values = json.loads(place.read_text())
    expected = values.pop("f_mean")
    place.write_text(json.dumps(values))
    assert done_grid() == 0
    assert json.loads(place.read_text())["f_mean"] == expected
    assert done_grid.scores == finished_grid.scores
    assert not learnt
