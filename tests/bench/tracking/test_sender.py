"""Runs on their way to MLflow: in order, kept while it is away, each sent once, and MLflow waited for once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from bench.tracking import sender
from bench.tracking.sender import Sender
from bench.tracking.store import Run


class Mlflow:
    """Stands for MLflow; `mood` is what it does with a run."""

    name, uri, shown = "stand-in", "http://user:secret@host", "http://user:***@host"

    def __init__(self) -> None:
        self.runs: list[str] = []  # names
        self.mood, self.tries = "well", 0

    def send(self, run: Run) -> str:
        self.tries += 1
        if self.mood == "away":
            raise ConnectionError(f"no route to {self.uri}")
        if self.mood == f"refuses {run.name}":
            raise MlflowException("bad name", INVALID_PARAMETER_VALUE)
        self.runs.append(run.name)
        return f"id of {run.name}"


def run(name: str, cell: Path | None = None) -> Run:
    return Run(name, "experiment", name, "FINISHED", 0, {}, cell=str(cell or ""))


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow()


@pytest.fixture
def cell(tmp_path) -> Path:
    """The folder of an evaluated cell that MLflow does not have."""
    folder = tmp_path / "cells" / "one"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text('{"label": "one", "mlflow_run_id": ""}')
    return folder


def recorded(cell: Path) -> dict:
    return json.loads((cell / "record.json").read_text())


def kept(runs: Path) -> list[str]:
    lines = (runs / "unrecorded" / "stand-in.jsonl").read_text().splitlines()
    return [json.loads(line)["name"] for line in lines if line]


def test_a_run_is_sent_at_once_and_named_as_mlflow_names_it(tmp_path, mlflow):
    assert Sender(mlflow, tmp_path).send(run("a")) == "id of a"


def test_while_mlflow_is_away_runs_are_kept_untried_and_the_end_sends_them_in_order(tmp_path, mlflow, capsys):
    mlflow.mood = "away"
    found = Sender(mlflow, tmp_path)
    assert [found.send(run(name)) for name in "cab"] == ["", "", ""]
    assert (mlflow.tries, kept(tmp_path)) == (1, ["c", "a", "b"])
    mlflow.mood = "well"
    found.retry()
    found.tell_kept()
    assert (mlflow.runs, kept(tmp_path)) == (["c", "a", "b"], [])
    assert found.sent == {name: f"id of {name}" for name in "cab"}
    told = capsys.readouterr().err
    assert told.count("warning: MLflow at http://user:***@host takes no runs (no route to") == 1
    assert "secret" not in told
    assert "for MLflow kept" not in told


def test_what_is_left_is_told_at_the_end_and_the_next_process_sends_it(tmp_path, mlflow, capsys):
    mlflow.mood = "away"
    first = Sender(mlflow, tmp_path)
    for name in ("parent", "child", "parent"):  # which has begun, and ended
        first.send(run(name))
    first.retry()
    first.tell_kept()
    told = capsys.readouterr().err
    assert told.count("warning") == 1
    assert f"2 runs for MLflow kept in {tmp_path}/unrecorded/stand-in.jsonl: the next command" in told
    mlflow.mood = "well"
    Sender(mlflow, tmp_path).retry()
    assert mlflow.runs == ["parent", "child", "parent"]
    assert capsys.readouterr().err == ""


def test_a_run_that_mlflow_refuses_does_not_keep_the_others_back(tmp_path, mlflow, capsys):
    mlflow.mood = "refuses b"
    found = Sender(mlflow, tmp_path)
    assert [found.send(run(name)) for name in "abc"] == ["id of a", "", "id of c"]
    found.retry()
    found.tell_kept()
    assert kept(tmp_path) == ["b"]
    told = capsys.readouterr().err
    assert told.count("takes no runs (bad name)") == 1
    assert "1 run for MLflow kept" in told


def test_two_processes_send_what_both_have_kept_once(tmp_path, mlflow):
    """Two senders of one folder stand for two processes: each has a lock of its own."""
    mlflow.mood = "away"
    two = [Sender(mlflow, tmp_path) for _ in range(2)]
    for number in range(4):
        two[number % 2].send(run(str(number)))
    mlflow.mood = "well"
    for one in two:
        one.retry()
    assert mlflow.runs == ["0", "1", "2", "3"]


def test_while_one_process_sends_what_was_kept_others_wait(tmp_path, mlflow):
    mlflow.mood = "away"
    first, second = Sender(mlflow, tmp_path), Sender(mlflow, tmp_path)
    first.send(run("a"))
    mlflow.mood, honest = "well", mlflow.send

    def send(run: Run) -> str:
        with pytest.raises(TimeoutError):
            second._lock.acquire(timeout=0)
        return honest(run)

    mlflow.send = send
    first.retry()
    assert mlflow.runs == ["a"]


def test_of_a_cell_there_is_one_run_whoever_records_it(tmp_path, mlflow, cell):
    assert [Sender(mlflow, tmp_path).send(run(name, cell)) for name in "ab"] == ["id of a"] * 2
    assert mlflow.runs == ["a"]
    assert recorded(cell) == {"label": "one", "mlflow_run_id": "id of a"}


def test_a_cell_that_was_kept_is_not_sent_once_its_record_has_a_run(tmp_path, mlflow, cell):
    mlflow.mood = "away"
    first = Sender(mlflow, tmp_path)
    assert first.send(run("a", cell)) == recorded(cell)["mlflow_run_id"] == ""
    mlflow.mood = "well"
    assert Sender(mlflow, tmp_path).send(run("b", cell)) == "id of b"
    first.retry()
    assert (mlflow.runs, first.sent, kept(tmp_path)) == (["b"], {"a": "id of b"}, [])


def test_a_cell_at_which_somebody_is_waits_without_a_warning(tmp_path, mlflow, cell, monkeypatch, capsys):
    monkeypatch.setattr(sender, "PATIENCE", 0.1)
    found = Sender(mlflow, tmp_path)
    with FileLock(cell / "lock"):
        assert [found.send(run("a", cell)), found.send(run("b"))] == ["", "id of b"]
    found.retry()
    assert mlflow.runs == ["b", "a"]
    assert capsys.readouterr().err == ""


def test_half_a_line_keeps_nothing_back(tmp_path, mlflow):
    mlflow.mood = "away"
    found = Sender(mlflow, tmp_path)
    found.kept.write_text('{"id": "to')
    found.send(run("whole"))
    mlflow.mood = "well"
    found.retry()
    assert mlflow.runs == ["whole"]


@pytest.mark.parametrize(
    "line", [b"[]", b"3", b'{"id": 5}', b'{"id": "a", "kind": "other"}', b"\xff\xfe", b"[" * 100_000, b'{"id": "to']
)
def test_a_line_that_is_no_run_is_set_aside_and_keeps_nothing_back(tmp_path, mlflow, capsys, line):
    mlflow.mood = "away"
    found = Sender(mlflow, tmp_path)
    found.send(run("before"))
    found.kept.write_bytes(found.kept.read_bytes() + b"\n" + line)
    found.send(run("behind"))
    whole = found.kept.read_bytes()
    mlflow.mood = "well"
    capsys.readouterr()
    found.retry()
    assert mlflow.runs == ["before", "behind"]
    assert found.kept.with_name(f"{found.kept.name}.damaged").read_bytes() == whole
    assert capsys.readouterr().err.count("is damaged, or not what this suite writes there") == 1


def test_a_run_of_another_store_is_not_sent_here(tmp_path, mlflow):
    mlflow.mood = "away"
    Sender(mlflow, tmp_path).send(run("a"))
    elsewhere = Mlflow()
    elsewhere.name = "elsewhere"
    Sender(elsewhere, tmp_path).retry()
    assert elsewhere.runs == []
    mlflow.mood = "well"
    Sender(mlflow, tmp_path).retry()
    assert mlflow.runs == ["a"]


def test_what_is_kept_is_the_whole_run(tmp_path, mlflow):
    whole = replace(run("a"), tags={"k": "v"}, params={"p": "1"}, metrics=[("m", 0.5, 3)], table={"c": [1, None]})
    mlflow.mood = "away"
    Sender(mlflow, tmp_path).send(whole)
    mlflow.mood, sent = "well", []
    mlflow.send = lambda run: sent.append(run) or "id"
    Sender(mlflow, tmp_path).retry()
    assert sent == [replace(whole, metrics=[["m", 0.5, 3]])]
