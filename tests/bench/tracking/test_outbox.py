"""Runs on their way to MLflow: in order, kept while it is down, sent once, and never waited for long."""

import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from bench.tracking import outbox
from bench.tracking.mlflow_store import Run
from bench.tracking.outbox import Outbox


class Mlflow:
    """Stands for MLflow; `mood` is what it does with a run."""

    is_server, name, uri, shown = True, "stand-in", "http://user:secret@host", "http://user:***@host"

    def __init__(self) -> None:
        self.runs: list[tuple[str, str | None]] = []  # name and parent's id
        self.mood = "well"

    def send(self, run: Run, parent: str | None) -> str:
        if self.mood == "stalls":
            time.sleep(5)
        if self.mood == "down":
            raise ConnectionError(f"no route to {self.uri}")
        if self.mood == f"refuses {run.name}":
            raise MlflowException("bad name", INVALID_PARAMETER_VALUE)
        self.runs.append((run.name, parent))
        return f"id of {run.name}"


def run(name: str, parent: str | None = None) -> Run:
    return Run(name, "experiment", name, "FINISHED", 0, {}, parent)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(outbox, "SECONDS_BETWEEN_TRIES", 0.1)


@pytest.fixture
def mlflow() -> Mlflow:
    return Mlflow()


def kept(runs: Path) -> list[str]:
    return [path.stem.partition("-")[2] for path in sorted(runs.glob("unsent/*/[0-9]*.json"))]


def until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise TimeoutError


def test_what_is_put_is_sent_at_once_and_named_as_mlflow_names_it(tmp_path, mlflow):
    box = Outbox(mlflow, tmp_path)
    parent = box.put(run("parent"))
    assert (parent, box.put(run("child", parent))) == ("id of parent", "id of child")
    assert mlflow.runs == [("parent", None), ("child", "id of parent")]
    assert kept(tmp_path) == []


def test_while_mlflow_is_down_runs_are_kept_and_told_once_and_sent_when_it_is_back(tmp_path, mlflow, capsys):
    mlflow.mood = "down"
    box = Outbox(mlflow, tmp_path)
    parent = box.put(run("parent"))
    names = [box.put(run(name, parent)) for name in "ba"]
    assert [parent, *names] == ["unsent-parent", "unsent-b", "unsent-a"]
    assert kept(tmp_path) == ["parent", "b", "a"]
    mlflow.mood = "well"
    until(lambda: not kept(tmp_path))
    assert mlflow.runs == [("parent", None), ("b", "id of parent"), ("a", "id of parent")]
    assert [box.name(name) for name in (parent, *names)] == ["id of parent", "id of b", "id of a"]
    told = capsys.readouterr().err
    assert told.count("warning: MLflow at http://user:***@host takes no runs (no route to") == 1
    assert "secret" not in told


def test_what_is_left_is_told_at_the_end_and_the_next_process_sends_it(tmp_path, mlflow, capsys):
    mlflow.mood = "down"
    first = Outbox(mlflow, tmp_path)
    parent = first.put(run("parent"))
    first.put(run("child", parent))
    first.close()
    assert f"2 runs for MLflow kept in {tmp_path}/unsent/stand-in: the next" in capsys.readouterr().err
    mlflow.mood = "well"
    second = Outbox(mlflow, tmp_path)
    assert second.put(run("later")) == "id of later"
    second.close()
    assert mlflow.runs == [("parent", None), ("child", "id of parent"), ("later", None)]
    assert second.name("unsent-child") == "id of child"
    assert capsys.readouterr().err == ""


def test_mlflow_that_stalls_is_waited_for_once(tmp_path, mlflow, monkeypatch, capsys):
    monkeypatch.setattr(outbox, "PATIENCE", 0.3)
    mlflow.mood = "stalls"
    box = Outbox(mlflow, tmp_path)
    started = time.monotonic()
    for number in range(20):
        box.put(run(str(number)))
    assert time.monotonic() - started < 3
    assert len(kept(tmp_path)) == 20
    assert capsys.readouterr().err.count("takes no runs (no answer in 0.3 s)") == 1


def test_a_run_that_mlflow_refuses_does_not_keep_the_others_back(tmp_path, mlflow, capsys):
    mlflow.mood = "refuses b"
    box = Outbox(mlflow, tmp_path)
    assert [box.put(run(name)) for name in "abc"] == ["id of a", "unsent-b", "id of c"]
    box.close()
    assert kept(tmp_path) == ["b"]
    told = capsys.readouterr().err
    assert "takes no runs (bad name)" in told
    assert "1 run for MLflow kept" in told


def test_a_run_is_sent_once_however_many_processes_send(tmp_path, mlflow):
    """Two outboxes of one folder stand for two processes: each has a lock of its own."""
    mlflow.mood = "down"
    boxes = [Outbox(mlflow, tmp_path) for _ in range(2)]
    for number in range(10):
        boxes[number % 2].put(run(str(number)))
    mlflow.mood = "well"
    until(lambda: not kept(tmp_path))
    assert [name for name, _ in mlflow.runs] == [str(number) for number in range(10)]
    assert boxes[0].name("unsent-1") == "id of 1"  # which the other one put


def test_a_damaged_file_and_half_a_line_keep_nothing_back(tmp_path, mlflow, capsys):
    folder = tmp_path / "unsent" / "stand-in"
    folder.mkdir(parents=True)
    (folder / "00000001-torn.json").write_text('{"id": "to')
    (folder / "sent.jsonl").write_text('\n["a", "id of a"]\n["b", "id')
    box = Outbox(mlflow, tmp_path)
    assert box.put(run("whole")) == "id of whole"
    assert box.name("unsent-a") == "id of a"
    assert "takes no runs (00000001-torn.json is damaged)" in capsys.readouterr().err
