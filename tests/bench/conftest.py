"""A whole run of the suite, small enough for a test, and a method of a user's own to run in it."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.record import Record, read_records
from bench.train.learner import Learner

# A user's file with a method; a test may put other code in the place of `pass`, line 5.
OWN_METHOD = "from methods.copy_first_mask import CopyFirstMask\n\n\nclass Mine(CopyFirstMask):\n    pass\n"
TINY_SCALE = [
    f"scale.{role}.{key}={value}"
    for role in ("teacher", "student")
    for key, value in {"steps": 3, "batch": 2, "crop": 32, "length": 4}.items()
]


class TinyRun:
    """Runs the command line on the tiny set; everything goes below one temporary folder."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.runs, self.out = folder / "runs", folder / "out"
        self.arguments = [
            "dataset=davis2017", f"dataset.root={data}", "training=davis", f"training.root={data}",
            f"runs={self.runs}", f"output={self.out}", "measure=false", "device=cpu", "processes=1",
            *TINY_SCALE,
        ]  # fmt: skip

    def __call__(self, *extra: str) -> int:
        return main([*self.arguments, *extra])

    @property
    def records(self) -> list[Record]:
        return read_records(self.out / "records.jsonl")


@pytest.fixture
def tiny_run(tiny_davis, tmp_path) -> TinyRun:
    return TinyRun(tiny_davis, tmp_path)


@pytest.fixture
def mine(tmp_path) -> Callable[..., str]:
    """Writes a file with a class Mine, a copy of the first mask with this code in it, and names it."""

    def write(code: str = "pass", name: str = "mine.py") -> str:
        (tmp_path / name).write_text(OWN_METHOD.replace("pass", code.replace("\n", "\n    ")))
        return f"{tmp_path / name}:Mine"

    return write


@pytest.fixture
def told(capsys) -> Callable[[], list[str]]:
    """The errors and warnings on stderr since it was last asked."""
    return lambda: re.findall(r"(?:error|warning): .*", capsys.readouterr().err)


STEPS = 4
SMALL_GRID = [
    "ablation=distillation", "ablation.baselines=[]", "~ablation.cells",
    "+ablation.cells={one: {}, two: {scale.student.lr: 0.0002}}", "recipe=supervised", "seeds=[0]",
    "options.width=0.125", f"scale.student.steps={STEPS}",
]  # fmt: skip


class SmallGrid(TinyRun):
    """Two students, trained side by side; what is done to a run of it must not show in its scores."""

    def __init__(self, data: Path, folder: Path) -> None:
        super().__init__(data, folder)
        self.arguments += SMALL_GRID

    @property
    def scores(self) -> list[tuple]:
        """All of its records that must not change, to the last digit."""
        return [
            (r.label, r.status, r.train_steps, r.jf_mean, r.j_mean, r.f_mean, r.per_sequence, r.frames)
            for r in self.records
        ]

    @property
    def students(self) -> list[Path]:
        return sorted(self.runs.glob("trained/mobilevos_r18-*"))

    @property
    def cells(self) -> list[Path]:
        return sorted(self.runs.glob("cells/mobilevos_r18-*"))


@pytest.fixture(scope="session")
def finished_grid(tiny_davis, tmp_path_factory) -> SmallGrid:
    """An undisturbed run: not to be changed."""
    run = SmallGrid(tiny_davis, tmp_path_factory.mktemp("finished"))
    assert run() == 0
    return run


def copy_database(source: Path, target: Path) -> None:
    """Also what lies in a file beside a sqlite database."""
    with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(target)) as copy:
        whole.backup(copy)


@pytest.fixture
def small_grid(tiny_davis, tmp_path, finished_grid) -> SmallGrid:
    """A grid of which nothing is done but MLflow's database, which takes seconds to make."""
    run = SmallGrid(tiny_davis, tmp_path)
    run.runs.mkdir()
    copy_database(finished_grid.runs / "mlflow.db", run.runs / "mlflow.db")
    return run


@pytest.fixture
def done_grid(small_grid, finished_grid) -> SmallGrid:
    """A copy of the undisturbed run, to be damaged."""
    for folder in ("trained", "cells"):
        shutil.copytree(finished_grid.runs / folder, small_grid.runs / folder)
    return small_grid


@pytest.fixture
def learnt(monkeypatch) -> list[int]:
    """The steps that are learnt in this process."""
    steps, honest = [], Learner.learn

    def learn(self, *rest):
        steps.append(self.step)
        return honest(self, *rest)

    monkeypatch.setattr(Learner, "learn", learn)
    return steps
