"""MLflow by an address: a server or a database that many share, down or slow as it may be."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import faults
import pytest
from postgresql import postgresql

from bench.jobs.cells import run_cells
from bench.system import databases
from bench.tracking.sender import Sender
from bench.train.learner import Learner
from tests.bench.conftest import SmallGrid, copy_database

MEASURED = ("fps", "latency_ms_median", "train_seconds")  # of which only the presence can be compared


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Bounds that fit a test's time."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def recorded(uri: str, experiment: str = "out") -> dict[str, tuple]:
    """All that MLflow holds of an experiment's runs, by name, without ids and times."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    names = {run.info.run_id: run.info.run_name for run in runs}
    assert len(set(names.values())) == len(runs)
    found = {}
    for run in runs:
        history = {
            name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
            if name not in MEASURED
        }
        tags = {k: v for k, v in run.data.tags.items() if k in ("kind", "status", "config_hash", "device")}
        parent = names.get(run.data.tags.get("mlflow.parentRunId"))
        artifacts = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        found[names[run.info.run_id]] = (
            run.info.status, run.data.params, history, tags, parent, artifacts, sorted(run.data.metrics),
        )  # fmt: skip
    return found


@pytest.fixture(scope="session")
def undisturbed(finished_grid) -> dict[str, tuple]:
    return recorded(f"sqlite:///{finished_grid.runs / 'mlflow.db'}")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def kept(grid: SmallGrid) -> int:
    """How many runs."""
    lines = [line for path in grid.runs.glob("unrecorded/*.jsonl") for line in path.read_text().splitlines()]
    return len({json.loads(line)["id"] for line in lines if line})


def stored(grid: SmallGrid) -> set[str]:
    """MLflow's runs by the records of the cells."""
    return {json.loads((cell / "record.json").read_text())["mlflow_run_id"] for cell in grid.cells}


def is_named(grid: SmallGrid) -> set[bool]:
    return {re.fullmatch("[0-9a-f]{32}", record.mlflow_run_id) is not None for record in grid.records}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("ftp://host", "give http://host:port of an MLflow server, postgresql"),
        ("/some/folder", "give http://host:port"),
        ("http://", "give http://host:port"),
        ("http://host:many", "give http://host:port"),
        ("postgresql+psycopg://user:secret@host", "postgresql\\+psycopg://user:\\*\\*\\*@host: give"),
        ("mysql+nodriver://host/database", "give http"),
        ("mysql+pymysql://user:secret@host/database", "has no driver \\(pymysql is missing\\)"),
    ],
)
def test_an_address_that_is_none_is_told_before_anything_is_trained(small_grid, learnt, capsys, uri, message):
    assert small_grid(f"tracking_uri={uri}") == 2
    told = capsys.readouterr().err
    assert re.search(f"error: tracking_uri=.*{message}", told)
    assert "secret" not in told
    assert learnt == []


@pytest.mark.parametrize(
    "address", ["http://me:secret@127.0.0.1:{}", "postgresql+psycopg://me:secret@127.0.0.1:{}/x"]
)
def test_with_a_server_that_is_down_a_run_ends_as_ever_and_is_told_once(done_grid, finished_grid, capsys, address):
    if "psycopg" in address:
        pytest.importorskip("psycopg")
    (done_grid.cells[0] / "record.json").unlink()
    assert done_grid(f"tracking_uri={address.format(free_port())}") == 0
    assert done_grid.scores == finished_grid.scores
    told = capsys.readouterr().err
    assert told.count("warning: MLflow at ") == 1
    assert kept(done_grid) == 2
    assert f"2 runs for MLflow kept in {done_grid.runs}/unrecorded/" in told
    assert sorted(record.mlflow_run_id == "" for record in done_grid.records) == [False, True]
    assert "secret" not in told + (done_grid.out / "config.yaml").read_text()
    assert not any("secret" in path.read_text() for path in done_grid.runs.glob("unrecorded/*"))


def test_what_was_kept_is_what_an_undisturbed_run_records(
    small_grid, finished_grid, undisturbed, tmp_path, monkeypatch, learnt, capsys
):
    """A database that cannot be opened, until the same command is given again."""
    place = tmp_path / "mlflow.db"
    place.mkdir()
    uri = f"sqlite:///{place}"
    assert small_grid(f"tracking_uri={uri}") == 0
    assert small_grid.scores == finished_grid.scores
    told = capsys.readouterr().err
    assert told.count("warning: MLflow at ") == told.count("3 runs for MLflow kept in") == 1
    assert {record.mlflow_run_id for record in small_grid.records} == stored(small_grid) == {""}

    place.rmdir()
    copy_database(finished_grid.runs / "mlflow.db", place)
    forget(uri)
    learnt.clear()
    title = "the same command"
    monkeypatch.setattr("bench.jobs.ablate.run_cells", titled(title))
    assert small_grid(f"tracking_uri={uri}") == 0
    assert (kept(small_grid), learnt, is_named(small_grid)) == (0, [], {True})
    assert "MLflow" not in capsys.readouterr().err
    assert stored(small_grid) == {record.mlflow_run_id for record in small_grid.records}
    found = recorded(uri)
    del found[title]
    assert found == undisturbed


def forget(uri: str) -> None:
    """The runs of the database that was copied for its tables."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    for run in client.search_runs([client.get_experiment_by_name("out").experiment_id]):
        client.delete_run(run.info.run_id)


def titled(title: str):
    return lambda cells, config, name, _, runs: run_cells(cells, config, name, title, runs)


def test_a_server_that_accepts_and_says_nothing_holds_a_run_at_its_start_and_end_alone(
    done_grid, finished_grid, monkeypatch, capsys
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    for record in done_grid.runs.glob("cells/*/record.json"):
        record.unlink()
    waited, honest = [], Sender.send

    def send(self, run):
        started = time.monotonic()
        try:
            return honest(self, run)
        finally:
            waited.append(time.monotonic() - started)

    monkeypatch.setattr(Sender, "send", send)
    with socket.create_server(("127.0.0.1", 0), backlog=20) as silent:
        assert done_grid(f"tracking_uri=http://127.0.0.1:{silent.getsockname()[1]}") == 0
    assert len(waited) == 4
    assert [seconds > 0.9 for seconds in waited] == [True, False, False, False]
    assert done_grid.scores == finished_grid.scores
    assert capsys.readouterr().err.count("warning: MLflow at ") == 1


class NoEntry(BaseHTTPRequestHandler):
    """Answers as a server does to a wrong password."""

    def do_GET(self):
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


def test_a_server_that_wants_another_password_stops_nothing(done_grid, finished_grid, capsys):
    (done_grid.cells[0] / "record.json").unlink()
    with ThreadingHTTPServer(("127.0.0.1", 0), NoEntry) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert done_grid(f"tracking_uri=http://me:secret@127.0.0.1:{server.server_port}") == 0
        server.shutdown()
    assert done_grid.scores == finished_grid.scores
    told = capsys.readouterr().err
    assert told.count("warning: MLflow at ") == told.count("2 runs for MLflow kept") == 1
    assert "401" in told
    assert "secret" not in told


def test_a_database_that_somebody_writes_to_for_ever_stops_nothing(done_grid, finished_grid, monkeypatch, capsys):
    monkeypatch.setattr(databases, "HELD", 0.2)
    (done_grid.cells[0] / "record.json").unlink()
    with closing(sqlite3.connect(done_grid.runs / "mlflow.db")) as somebody:
        somebody.execute("begin exclusive")
        start = time.monotonic()
        assert done_grid() == 0
    assert time.monotonic() - start < 15  # MLflow itself would wait for 20 seconds, twice
    assert done_grid.scores == finished_grid.scores
    told = capsys.readouterr().err
    assert told.count("warning: MLflow at ") == told.count("2 runs for MLflow kept") == 1
    assert "the database is locked: another process has been writing to it for 0.2 s" in told
    weights, other = done_grid.students[0] / "weights.pt", done_grid.out.parent / "other"
    assert done_grid("job=evaluate", "method=mobilevos_r18", f"weights={weights}", f"output={other}") == 0
    assert kept(done_grid) == 0, "any command sends them"
    assert "" not in stored(done_grid)


class Server:
    """`mlflow server` on a port of its own, started and stopped at will."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.process = folder, free_port(), None
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port),
            "--backend-store-uri", f"sqlite:///{self.folder}/server.db",
            "--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1",
        ]  # fmt: skip
        environment = {
            **os.environ,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        log = (self.folder / "log").open("a")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        faults.wait_until(self.answers)

    def answers(self) -> bool:
        import requests

        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            return requests.get(f"{self.uri}/health", timeout=1).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path, finished_grid) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    found = Server(folder)
    try:
        yield found
    finally:
        found.stop()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["undisturbed", "down from the start", "killed in a training"])
def test_a_server_holds_the_same_whatever_became_of_it_meanwhile(
    small_grid, finished_grid, undisturbed, server, monkeypatch, learnt, when
):
    honest = Learner.learn

    def learn(self, *rest):
        if when == "killed in a training":
            server.stop()
        return honest(self, *rest)

    if when != "down from the start":
        server.start()
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", learn)
        assert small_grid(f"tracking_uri={server.uri}") == 0
    assert small_grid.scores == finished_grid.scores
    title = "the same command"
    if when != "undisturbed":
        assert kept(small_grid) > 0
        server.start()
        learnt.clear()
        monkeypatch.setattr("bench.jobs.ablate.run_cells", titled(title))
        assert small_grid(f"tracking_uri={server.uri}") == 0
        assert learnt == []
    found = recorded(server.uri)
    found.pop(title, None)
    assert found == undisturbed
    assert (kept(small_grid), is_named(small_grid)) == (0, {True})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["server", "postgresql"])
def test_many_write_at_once_to_a_new_place(tiny_davis, finished_grid, undisturbed, tmp_path, request, kind):
    """Three commands with `runs` of their own: nobody's runs are lost, and none replaces another's."""
    with postgresql() if kind == "postgresql" else running(request) as uri:
        grids = [SmallGrid(tiny_davis, tmp_path / str(number)) for number in range(3)]
        for grid in grids:
            shutil.copytree(finished_grid.runs / "trained", grid.runs / "trained")
        processes = [
            faults.start([*grid.arguments, f"tracking_uri={uri}"], tmp_path / f"told {number}")
            for number, grid in enumerate(grids)
        ]
        for process in processes:
            process.join(faults.PATIENCE)
        told = "".join((tmp_path / f"told {number}").read_text() for number in range(3))
        assert [process.exitcode for process in processes] == [0, 0, 0], told
        assert "warning" not in told

        from mlflow import MlflowClient

        client = MlflowClient(uri)
        runs = client.search_runs([client.get_experiment_by_name("out").experiment_id])
        assert sorted(r.info.run_name for r in runs) == sorted(3 * list(undisturbed))
        ids = {run.info.run_id for run in runs}
        assert {record.mlflow_run_id for grid in grids for record in grid.records} < ids


def running(request):
    from contextlib import contextmanager

    @contextmanager
    def start():
        server = request.getfixturevalue("server")
        server.start()
        yield server.uri

    return start()
