"""A whole run of the suite, small enough for a test, and a method of a user's own to run in it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.record import Record, read_records

# A user's file with a method; a test may put other code in the place of `pass`, line 5.
OWN_METHOD = "from methods.copy_first_mask import CopyFirstMask\n\n\nclass Mine(CopyFirstMask):\n    pass\n"
TINY_SCALE = [
    f"scale.{role}.{key}={value}"
    for role in ("teacher", "student")
    for key, value in {"steps": 3, "batch": 2, "crop": 32}.items()
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
