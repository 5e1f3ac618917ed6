"""job=report and job=ui: which store they take, and what they say when there is none or it cannot be shown."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from bench.__main__ import main
from bench.record import read_records
from bench.tracking.store import is_empty, store_uri, without_password

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = "http://127.0.0.1:9"  # the port "discard", on which nothing answers


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_report_names_the_store_and_makes_none(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_RESULT", str(tmp_path / "result"))
    out, runs = tmp_path / "report", tmp_path / "my runs"
    assert main(["job=report", f"runs={runs}", f"output={out}"]) == 0
    shown = f"sqlite:///{tmp_path}/my runs/mlflow.db"
    assert json.loads((out / "report.json").read_text()) == {"store": None, "shown": shown}
    assert (tmp_path / "result").read_text() == str(out)
    assert not runs.exists()


def test_a_measurement_is_in_the_store_with_whole_records(tmp_path):
    from mlflow import MlflowClient

    out, runs = tmp_path / "out", tmp_path / "runs"
    quick = ["measure.height=32", "measure.width=48", "measure.frames=2", "measure.max_seconds=0"]
    quick += ["measure.protocols=[frame]", "measure.lengths=[]", "measure.object_counts=[1]", "device=cpu"]
    assert main(["job=measure", "method=copy_first_mask", f"runs={runs}", f"output={out}", *quick]) == 0
    assert main(["job=report", f"runs={runs}", f"output={tmp_path}/report"]) == 0
    uri = json.loads((tmp_path / "report/report.json").read_text())["store"]
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("out").experiment_id])
    assert (run.data.tags["kind"], run.data.tags["job"]) == ("invocation", "measure")
    assert run.data.tags["folder"] == str(out)
    logged = Path(client.download_artifacts(run.info.run_id, "records.jsonl", str(tmp_path)))
    assert read_records(logged) == read_records(out / "records.jsonl")


@pytest.mark.parametrize("job", ["report", "ui"])
def test_a_server_that_does_not_answer_is_told_within_seconds(job, tmp_path, capsys):
    assert main([f"job={job}", f"tracking_uri={NOWHERE}", f"output={tmp_path}", f"runs={tmp_path}"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith(f"error: tracking_uri={NOWHERE} cannot be read: ")


def test_there_must_be_a_store_to_look_at(tmp_path, capsys):
    assert main(["job=ui", f"runs={tmp_path}"]) == 2
    assert f"no MLflow store at sqlite:///{tmp_path}/mlflow.db: ./run_all.sh fills it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_named(tmp_path, capsys):
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["job=ui", f"runs={tmp_path}", f"port={port}"]) == 2
    error = capsys.readouterr().err
    assert f"host=127.0.0.1 port={port} cannot be used (Address already in use): give another port=" in error
    assert main(["job=ui", f"runs={tmp_path}", "port=none"]) == 2
    assert "port=none: give a whole number of at least 1 and below 65536" in capsys.readouterr().err


def test_addresses():
    assert store_uri(None, Path("/a b")) == "sqlite:////a%20b/mlflow.db"
    assert store_uri("http://host:5000", Path("/a")) == "http://host:5000"
    assert is_empty("sqlite:////no/such/file.db") and not is_empty("postgresql://host/name")
    assert without_password("postgresql://me:secret@host/name") == "postgresql://me:***@host/name"


@pytest.mark.slow
def test_the_pages_are_served_until_ctrl_c(tmp_path):
    from mlflow import MlflowClient

    uri, port = f"sqlite:///{tmp_path / 'mlflow.db'}", free_port()
    MlflowClient(uri).create_experiment("looked at")
    command = [sys.executable, "-m", "bench", "job=ui", f"tracking_uri={uri}", f"port={port}"]
    served = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert served.stdout.readline() == f"MLflow: http://127.0.0.1:{port} shows {uri}; Ctrl-C ends it\n"
        with urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
            assert b"<title>MLflow</title>" in answer.read()
        served.send_signal(signal.SIGINT)
        assert served.wait(60) == 0
    finally:
        served.terminate()  # which ends the server, too
        served.wait(60)
    with socket.socket() as probe:  # the server has ended, too
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"], "and leaves nothing behind"
