"""Items in processes of their own: side by side, in parts when memory is short, and gone with their parent."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch

from bench.plan.compose import load_config
from bench.run.pool import work_apart
from bench.run.work import Item
from bench.system.errors import ConfigError
from bench.system.workers import count_processes

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60  # seconds; only a failing test waits that long
KILLED = "its process was killed, probably for want of memory"


@dataclass(frozen=True)
class Part:
    """`does`, as many times as it is tried: finish, die, ...; its last word is repeated for ever."""

    key: str
    does: str = "finish"


def toy(job: list[Part], folder: Path) -> dict[str, str]:
    """A toy of a training: leaves a file for each item it has finished, and a line for each attempt."""
    attempt = (folder / "attempts").read_text().count(job[0].key) if (folder / "attempts").exists() else 0
    with (folder / "attempts").open("a") as file:
        file.write("".join(item.key for item in job) + "\n")
    failures = {}
    for item in job:
        words = item.does.split()
        match words[min(attempt, len(words) - 1)]:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "vanish":
                os._exit(3)
            case "raise":
                raise ValueError("no such luck")
            case "fail":
                failures[item.key] = "by its own account"
            case "answer-at-length":
                failures[item.key] = "long" * 100_000
            case "fill-memory":
                torch.empty(2**60, dtype=torch.uint8)
            case "hate-company" if len(job) > 1:
                raise MemoryError
            case "err":
                wait_for(folder / "locked")
                raise ConfigError("scale.student.crop=95 is wrong")
            case "sleep":
                lock = (folder / "lock").open("w")
                fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets it go with the process
                (folder / "locked").touch()
                time.sleep(2 * PATIENCE)
            case "meet":
                (folder / f"{item.key} is here").touch()
                wait_for(folder / f"{'b' if item.key == 'a' else 'a'} is here")
        (folder / item.key).write_text(str(os.getpid()))
    return failures


def wait_for(path: Path) -> None:
    for _ in range(20 * PATIENCE):
        if path.exists():
            return
        time.sleep(0.05)
    raise TimeoutError(path.name)


def is_locked(path: Path) -> bool:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def item(job: list[Part], folder: Path) -> Item:
    half = len(job) // 2
    halves = [item(part, folder) for part in (job[:half], job[half:])] if half else []
    return Item(tuple(part.key for part in job), partial(toy, job, folder), halves=lambda: halves)


def failures(*texts: str, folder: Path, processes: int) -> dict[str, str]:
    """`failures("a: die, b", "c", ...)`: of two items, the first of two parts."""
    jobs = [[Part(*part.strip().split(": ")) for part in text.split(",")] for text in texts]
    found: dict[str, str] = {}
    for _ in work_apart([item(job, folder) for job in jobs], lambda _, new: found.update(new), processes):
        pass
    return found


def done(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if len(path.name) == 1}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The processes import this file by its name, which below pytest's importlib mode starts at the root."""
    monkeypatch.syspath_prepend(ROOT)


def test_items_run_side_by_side_in_processes_of_their_own(tmp_path):
    """Each waits for the other, so that one after the other would never end."""
    assert failures("a: meet", "b: meet", folder=tmp_path, processes=2) == {}
    pids = {(tmp_path / key).read_text() for key in "ab"}
    assert len(pids) == 2
    assert str(os.getpid()) not in pids


@pytest.fixture
def server_of_this_test(capfd):
    """What processes print goes where it went when their server was started: here it is started anew."""
    forkserver._forkserver._stop()


def test_failures_of_all_items_are_told_and_an_error_fails_its_own_keys_alone(tmp_path, capfd, server_of_this_test):
    found = failures("a, b: raise", "c: fail, d", "e: vanish", folder=tmp_path, processes=2)
    assert found == {
        "a": "ValueError: no such luck",
        "b": "ValueError: no such luck",
        "c": "by its own account",
        "e": "its process ended with exit code 3",
    }
    assert done(tmp_path) == {"a", "c", "d"}
    told = capfd.readouterr().err
    assert "Traceback" in told
    assert 'raise ValueError("no such luck")' in told


def test_killed_items_are_tried_alone_and_then_in_halves(tmp_path):
    """`a` needs no more than to be alone; `b` dies whatever is done, and takes `c` along until they part."""
    found = failures("a: die finish", "c, b: die", folder=tmp_path, processes=2)
    assert found == {"b": KILLED}
    assert done(tmp_path) == {"a", "c"}
    attempts = (tmp_path / "attempts").read_text().split()
    assert sorted(attempts[:2]) == ["a", "cb"]
    assert sorted(attempts[2:4]) == ["a", "cb"]
    assert attempts[4:] == ["c", "b"]


def test_an_answer_larger_than_a_pipe_arrives(tmp_path):
    found = failures("a: answer-at-length", folder=tmp_path, processes=2)
    assert len(found["a"]) == 400_000


def test_one_process_is_this_one_and_an_item_too_large_is_split_to_single_parts(tmp_path):
    company = "a: hate-company, b: hate-company, c: hate-company, d: fill-memory"
    found = failures(company, folder=tmp_path, processes=1)
    assert found.keys() == {"d"}
    assert found["d"].startswith("out of memory: ")
    assert {(tmp_path / key).read_text() for key in "abc"} == {str(os.getpid())}
    assert (tmp_path / "attempts").read_text().split() == ["abcd", "ab", "cd", "a", "b", "c", "d"]


def test_a_mistake_of_the_user_ends_all_and_is_raised(tmp_path):
    with pytest.raises(ConfigError, match="crop=95"):
        failures("a: err", "b: sleep", folder=tmp_path, processes=2)
    assert not is_locked(tmp_path / "lock")
    assert done(tmp_path) == set()


def test_children_end_when_their_parent_is_killed(tmp_path):
    script = (
        f"import sys, pathlib; from {__name__} import failures\n"
        "failures('a: sleep', folder=pathlib.Path(sys.argv[1]), processes=2)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment) as parent:
        try:
            wait_for(tmp_path / "locked")
        finally:
            parent.kill()
    killed = time.monotonic()
    while is_locked(tmp_path / "lock") and time.monotonic() < killed + PATIENCE:
        time.sleep(0.05)
    assert time.monotonic() < killed + 5


def test_how_many_processes():
    assert count_processes("auto", "cpu") == os.cpu_count()
    assert count_processes("auto", "cuda:0") == 1
    assert count_processes(3, "cuda:0") == 3
    for wrong in (0, -1, "two"):
        with pytest.raises(ConfigError, match="processes="):
            load_config([f"processes={wrong}"])


@pytest.mark.slow
def test_two_seeds_in_two_processes_reach_what_they_reach_in_one(tiny_run):
    grid = ["ablation=distillation", "seeds=2"]
    assert tiny_run(*grid, "processes=1") == 0
    alone = tiny_run.records
    students = list(tiny_run.runs.glob("trained/mobilevos_r18-mobilevos-*"))
    for folder in (*students, tiny_run.runs / "cells"):
        shutil.rmtree(folder)
    assert tiny_run(*grid, "processes=2") == 0
    apart = tiny_run.records
    assert len(students) == 4
    assert [r.seed for r in alone if r.label == "distilled"] == [0, 1]
    assert {r.status for r in alone} == {"ok"}
    for one, other in zip(alone, apart, strict=True):
        for field in ("label", "seed", "status", "recipe", "config_hash", "train_steps", "params_m"):
            assert getattr(one, field) == getattr(other, field)
        for field in ("j_mean", "f_mean", "jf_mean"):
            assert getattr(one, field) == pytest.approx(getattr(other, field), abs=0.05)
