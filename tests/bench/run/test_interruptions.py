"""What a user sees of a run that was stopped, and of one that failed in part."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.record import Record
from bench.train.learner import Diverged, Learner
from reports.__main__ import main as report

STEPS = 30
GRID = ["ablation=distillation", "seeds=[0]", f"scale.student.steps={STEPS}"]
ROWS = ["copy_first_mask", "mobilevos_r18 (teacher)", "labels only", "distilled"]
# Checkpoints after every step, so that there is progress to tell within a test's time.
IMPATIENT = (
    "import sys, bench.train.group as group\n"
    "from bench.__main__ import main\n"
    "group.SECONDS_BETWEEN_CHECKPOINTS = -1\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
PATIENCE = 120  # seconds; only a failing test waits that long


def interrupted(start: list[str], arguments: list[str], told: Path, when: Callable[[], bool]) -> int:
    """Press Ctrl-C on a command line as soon as `when()`; its exit code, once all of its processes are gone."""
    command = [sys.executable, *start, *arguments]
    with (
        told.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True) as process,
    ):
        try:
            for _ in range(100 * PATIENCE):
                if when() or process.poll() is not None:
                    break
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to all processes
            process.communicate(timeout=PATIENCE)  # ends when the last one has closed its end of the pipe
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode


def statuses(records: list[Record]) -> dict[str, str]:
    return {record.label: record.status for record in records}


def table(folder: Path) -> dict[str, dict[str, str]]:
    """{row: {column: text}} of the table that `reports` makes of the folder."""
    assert report([str(folder)]) == 0
    lines = (folder / "table.md").read_text().splitlines()
    first = lines.index("") + 1
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[first : lines.index("", first)]]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[2:]}


def test_ctrl_c_stops_all_processes_and_marks_what_is_unfinished(tiny_run, tmp_path):
    """`python -m bench`, students in a process of their own."""
    told = tmp_path / "stderr"
    arguments = [*tiny_run.arguments, *GRID, "processes=2"]
    assert interrupted(["-m", "bench"], arguments, told, lambda: f": 0/{STEPS} steps" in told.read_text()) == 130
    assert "Traceback" not in told.read_text()
    assert told.read_text().endswith("stopped; the same command goes on from here\n")
    found = statuses(tiny_run.records)
    assert list(found) == ROWS
    assert found["copy_first_mask"] == "ok"
    assert found["distilled"] == found["labels only"]  # the step at hand was finished and saved
    assert re.fullmatch(rf"interrupted: trained for [1-9]\d* of {STEPS} steps", found["distilled"])
    assert table(tiny_run.out)["distilled"]["J&F"] == found["distilled"]


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_table_of_an_undisturbed_one(tiny_run, tmp_path):
    checkpoints = tiny_run.runs / "trained"
    start = ["-c", IMPATIENT]
    code = interrupted(
        start,
        [*tiny_run.arguments, *GRID],
        tmp_path / "stderr",
        lambda: len(list(checkpoints.glob("mobilevos_r18-mobilevos-s0-*/last.pt"))) == 2,
    )
    assert code == 130
    found, shown = statuses(tiny_run.records), table(tiny_run.out)
    for label in ("labels only", "distilled"):
        steps = re.fullmatch(rf"interrupted: trained for (\d+) of {STEPS} steps", found[label])
        assert steps
        assert 0 < int(steps[1]) < STEPS
        assert (shown[label]["J&F"], shown[label]["Seeds"]) == (found[label], "0/1")

    assert tiny_run(*GRID) == 0
    records = tiny_run.records
    for folder in ("trained", "cells"):
        shutil.rmtree(tiny_run.runs / folder)
    assert tiny_run(*GRID) == 0
    for resumed, whole in zip(records, tiny_run.records, strict=True):
        assert (resumed.label, resumed.train_steps) == (whole.label, whole.train_steps)
        assert resumed.jf_mean == pytest.approx(whole.jf_mean, abs=0.05)
        assert resumed.status == whole.status == "ok"


def test_one_seed_that_diverges_is_told_in_the_table_and_stops_nothing(tiny_run, monkeypatch):
    honest = Learner.learn

    def learn(self, batch, teacher, seed):
        if self.meta["seed"] == 1 and "logits" in self.recipe.losses and self.step == 1:
            raise Diverged("loss nan at step 1")
        return honest(self, batch, teacher, seed)

    monkeypatch.setattr(Learner, "learn", learn)
    assert tiny_run("ablation=distillation", "seeds=2") == 0
    failed = [(r.label, r.seed, r.status) for r in tiny_run.records if r.status != "ok"]
    assert failed == [("distilled", 1, "failed: loss nan at step 1")]
    shown = table(tiny_run.out)
    assert (shown["labels only"]["Seeds"], shown["distilled"]["Seeds"]) == ("2", "1/2")
    assert float(shown["distilled"]["J&F"]) >= 0  # of the seed that is left
    assert "distilled, seed 1: failed: loss nan at step 1." in (tiny_run.out / "table.md").read_text()
