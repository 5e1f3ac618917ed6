"""A full disk, a scheduler's SIGTERM, two runs of one grid: the same command then gives the same scores."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import faults
import pytest
from filelock import FileLock

from bench.system.stopping import Stopped, listening, saving_first
from bench.train import group
from bench.train.learner import Learner
from tests.bench.conftest import STEPS

ROOT = Path(__file__).resolve().parents[3]


# A full disk.


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, left: int) -> Path:
    """A file that leaves so many bytes of the disk."""
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(folder).free - left))
    return ballast


@pytest.mark.parametrize("left", [0, 1_000_000], ids=["nothing left", "room for less than a checkpoint"])
def test_a_full_disk_ends_a_run_with_one_message_and_it_goes_on_with_more_room(
    small_grid, finished_grid, small_disk, monkeypatch, learnt, capsys, left
):
    """It fills up after the first step of each student, whose checkpoints are kept."""
    shutil.move(small_grid.runs, small_disk / "runs")
    small_grid.runs = small_disk / "runs"
    small_grid.arguments += [f"runs={small_grid.runs}"]
    honest, ballast = Learner.learn, []

    def learn(self, *rest):
        if self.step == 1 and not ballast:
            ballast.append(fill(small_disk, left))
        return honest(self, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", learn)
        patch.setattr(group, "SECONDS_BETWEEN_CHECKPOINTS", -1)
        assert small_grid() == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert re.match(rf"error: no space left to write to {small_grid.runs}/\S*: make some, then give", errors[0])
    ballast[0].unlink()
    learnt.clear()
    assert small_grid() == 0
    assert min(learnt) == 1
    assert small_grid.scores == finished_grid.scores


@pytest.mark.slow
def test_a_quota_is_a_full_disk_also_for_students_in_processes_of_their_own(small_grid, finished_grid, tmp_path):
    """A limit on the size of files stands for one; weights are larger."""
    arguments = [*small_grid.arguments, "processes=2"]
    assert faults.disturbed(arguments, tmp_path / "told", faults.limit_files, 500_000) == 2
    told = (tmp_path / "told").read_text()
    assert told.count("error: no space left to write to ") == 1
    assert "Traceback" not in told
    assert small_grid() == 0
    assert small_grid.scores == finished_grid.scores


# SIGTERM.


def test_sigterm_saves_what_is_learnt_and_ends_with_143(small_grid, finished_grid, tmp_path, learnt):
    process = faults.start(small_grid.arguments, tmp_path / "told", faults.note_work, tmp_path, 0.3)
    faults.wait_until(lambda: list(tmp_path.glob("* 1 by *")))
    process.terminate()
    process.join(faults.PATIENCE)
    assert process.exitcode == 143
    assert (tmp_path / "told").read_text().endswith("stopped; the same command goes on from here\n")
    assert {r.status for r in small_grid.records} <= {
        f"interrupted: trained for {step} of {STEPS} steps" for step in (2, 3)
    }
    assert small_grid() == 0
    assert min(learnt) >= 2  # not a step is lost
    assert small_grid.scores == finished_grid.scores


def test_sigterm_while_judging_loses_the_sequence_at_hand(small_grid, finished_grid, tmp_path, learnt):
    process = faults.start(small_grid.arguments, tmp_path / "told", faults.note_work, tmp_path, 0.3)
    faults.wait_until(lambda: list(tmp_path.glob("* val-001 by *")))
    process.terminate()
    process.join(faults.PATIENCE)
    assert process.exitcode == 143
    assert small_grid() == 0
    assert learnt == []
    assert small_grid.scores == finished_grid.scores


@pytest.mark.slow
@pytest.mark.parametrize("extra", [["processes=2"], ["scale.student.workers=1"]], ids=["students", "loaders"])
def test_sigterm_to_all_processes_of_a_job(small_grid, finished_grid, tmp_path, learnt, extra):
    """As schedulers do, to the students in processes of their own, and to those that load the data."""
    long = "scale.student.steps=16"
    process = faults.start([*small_grid.arguments, *extra, long], tmp_path / "told", faults.stand_alone)
    if "processes=2" in extra:
        faults.wait_until(lambda: (tmp_path / "told").read_text().count("0/16 [") >= 2)
    else:
        faults.wait_until(lambda: len(list(small_grid.runs.glob("trained/*/last.pt"))) == 2)
    os.killpg(process.pid, signal.SIGTERM)
    process.join(faults.PATIENCE)
    assert process.exitcode == 143
    assert "Traceback" not in (tmp_path / "told").read_text()
    assert all(re.match("interrupted: trained for [1-9]", r.status) for r in small_grid.records)
    faults.wait_until(lambda: not faults.group_of(process.pid))
    assert small_grid(long) == 0
    assert min(learnt) >= 1


def test_run_all_hands_sigterm_on_and_ends_as_the_bench_does(tmp_path):
    """docker stop, for one, signals nobody but the script itself."""
    for name in ("run_all.sh", "bench/setup.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bench/setup.sh").write_text('set_up() { python="$here/python"; }\nhere="$PWD"\n')
    (tmp_path / "python").write_text(
        '#!/usr/bin/env bash\ntrap "touch heard; exit 143" TERM\ntouch ready\nwhile :; do sleep 0.05; done\n'
    )
    (tmp_path / "python").chmod(0o755)
    with subprocess.Popen(["bash", "run_all.sh"], cwd=tmp_path) as process:
        faults.wait_until((tmp_path / "ready").exists)
        process.terminate()
    assert process.returncode == 143
    assert (tmp_path / "heard").exists()


def test_an_error_that_the_end_of_a_helper_makes_is_a_stop_and_saves_no_half_step():
    """The helper, of the same job, has the signal first; nobody knows whether a step was at hand."""
    saved = []
    with pytest.raises(Stopped), listening(), saving_first(lambda: saved.append(True)):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        raise EOFError("a helper is gone")
    with pytest.raises(EOFError), listening(), saving_first(lambda: saved.append(True)):
        raise EOFError("of itself")
    assert saved == []


# Two runs of one grid.


def test_what_another_run_is_training_is_waited_for_and_taken(done_grid, finished_grid, learnt, capsys):
    """The other run is this test: it holds the lock of a training, finishes it and lets go."""
    (student, *_), weights = done_grid.students, done_grid.students[0] / "weights.pt"
    shutil.rmtree(done_grid.runs / "cells")
    weights.rename(student / "elsewhere")
    told = []

    def train() -> None:
        with FileLock(student / "lock"):
            started.set()
            while "another run is" not in "".join(told):
                told.append(capsys.readouterr().err)
                time.sleep(0.05)
            (student / "elsewhere").rename(weights)

    started = threading.Event()
    other = threading.Thread(target=train)
    other.start()
    started.wait()
    assert done_grid() == 0
    other.join()
    assert f"another run is training {student.name}: waiting for what it finds\n" in "".join(told)
    assert learnt == []
    assert done_grid.scores == finished_grid.scores


@pytest.mark.slow
def test_two_runs_of_one_grid_do_each_thing_once(small_grid, finished_grid, tmp_path):
    other = type(small_grid)(finished_grid.runs, tmp_path / "other")
    other.arguments = [*small_grid.arguments, f"output={other.out}"]
    processes = [
        faults.start(run.arguments, tmp_path / f"told {number}", faults.note_work, tmp_path, 0.2)
        for number, run in enumerate((small_grid, other))
    ]
    for process in processes:
        process.join(faults.PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0]
    work = Counter(path.name.partition(" by ")[0] for path in tmp_path.glob("* by *"))
    assert len(work) == 2 * (STEPS + 2)  # two students; their steps, and the sequences that each is evaluated on
    assert set(work.values()) == {1}
    assert small_grid.scores == other.scores == finished_grid.scores
    told = "".join((tmp_path / f"told {number}").read_text() for number in (0, 1))
    assert "another run is training" in told
