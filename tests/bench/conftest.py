"""A whole run of the suite, small enough for a test."""

from pathlib import Path

import pytest

from bench.__main__ import main
from bench.record import Record, read_records

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
