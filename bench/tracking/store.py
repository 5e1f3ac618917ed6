"""The MLflow store: where it is, whether it can be read, and runs sent to it so that each is there once."""

import logging
import os
import re
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bench.plan.cells import content_hash
from bench.system.databases import (
    HIDDEN,
    INSTALL_POSTGRESQL,
    PATIENCE,
    check_free,
    first_use,
    hide,
    without_password,
)
from bench.system.errors import ConfigError
from bench.system.files import read_json

BATCH = 1000  # metrics that MLflow takes in one call: single calls cost up to 100 ms each
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SERVERS = ("http", "https")


@dataclass(frozen=True)
class Run:
    """All of a run, or (with the id of an earlier one) what is added to it. JSON can hold it.

    parent: the `id` of the run above it. time: in ms since 1970. table: its columns.
    cell: the folder of an evaluated cell; its record says whether MLflow has the run.
    Runs with the tags `instead_of` are deleted for it.
    """

    id: str  # ours, which MLflow has as the tag `bench_id`
    experiment: str
    name: str
    status: str  # MLflow's: RUNNING, FINISHED, FAILED, KILLED
    time: int
    tags: dict[str, str]
    parent: str | None = None
    instead_of: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, int]] = field(default_factory=list)  # name, value, step
    texts: dict[str, str] = field(default_factory=dict)  # artifacts: file name -> content
    files: list[str] = field(default_factory=list)  # artifacts: paths
    curve: str = ""  # a training's: file of [{"step": 0, <name>: value, ...}, ...]
    table: dict[str, list] = field(default_factory=dict)
    cell: str = ""


class Store:
    """An MLflow server or database; `uri` None is a sqlite file below `runs`. Raises ConfigError for no address."""

    def __init__(self, uri: str | None, runs: Path) -> None:
        quiet_mlflow()
        for name in ("mlflow", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what fails is told by the one who sends
        if uri is not None:
            _check(uri)
        self.uri = store_uri(uri, runs)
        self.artifacts = None if is_server(self.uri) else runs / "artifacts"
        self.shown = str(without_password(self.uri))
        self.name = "local" if uri is None else _name(uri)
        self._experiments: dict[str, str] = {}
        self._ids: dict[str, str] = {}  # MLflow's by ours

    def send(self, run: Run) -> str:
        """Have MLflow hold all of `run`, also where it holds a part; returns its id there.

        Raises whatever MLflow and the libraries below it raise.
        """
        from mlflow.entities import Metric, Param

        if not is_server(self.uri) and "_client" in vars(self):
            check_free(self.uri)  # MLflow waits for 20 seconds, time and again
        client, experiment = self._client, self._experiment(run.experiment)
        there = self._find(experiment, run.id, run.instead_of)
        if there is None:
            above = run.parent and (self._ids.get(run.parent) or self._find(experiment, run.parent, {}))
            tags = {**run.tags, "bench_id": run.id} | ({"mlflow.parentRunId": above} if above else {})
            created = client.create_run(experiment, run.time, tags, run.name)
            there = self._ids[run.id] = created.info.run_id
        # With one time for all, MLflow knows a value that it has been sent before.
        numbers = [*run.metrics, *_curve(run.curve)]
        metrics = [Metric(name, float(value), 0, int(step)) for name, value, step in numbers]
        client.log_batch(there, metrics[:BATCH], [Param(name, value[:6000]) for name, value in run.params.items()])
        for start in range(BATCH, len(metrics), BATCH):
            client.log_batch(there, metrics[start : start + BATCH])
        for name, text in run.texts.items():
            client.log_text(there, text, name)
        for path in filter(os.path.isfile, run.files):
            client.log_artifact(there, path)
        # A second call would add the rows once more.
        if run.table and "cells.json" not in {artifact.path for artifact in client.list_artifacts(there)}:
            client.log_table(there, run.table, "cells.json")
        if run.status != "RUNNING":
            client.set_terminated(there, run.status, run.time)
        return there

    def _find(self, experiment: str, ours: str, instead_of: dict[str, str]) -> str | None:
        """MLflow's id of a run that it has, in part or whole; those that it stands for are deleted."""
        wanted = instead_of or {"bench_id": ours}
        query = " and ".join(f"tags.{name} = '{value}'" for name, value in wanted.items())
        for found in self._client.search_runs([experiment], query):
            if found.data.tags.get("bench_id") == ours:
                self._ids[ours] = found.info.run_id
            else:
                self._client.delete_run(found.info.run_id)
        return self._ids.get(ours)

    @cached_property
    def _client(self):
        from mlflow import MlflowClient

        with nullcontext() if is_server(self.uri) else first_use(self.uri):
            return MlflowClient(self.uri)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                place = self.artifacts and (self.artifacts / name).absolute().as_uri()
                try:
                    return self._client.create_experiment(name, place)
                except MlflowException:  # another process was quicker
                    found = self._client.get_experiment_by_name(name)
                    if found is None:
                        raise
            self._experiments[name] = found.experiment_id
        return self._experiments[name]


def _name(uri: str) -> str:
    """An address as the name of a file: the same whatever the password is."""
    shown = str(without_password(uri))
    name = re.sub(r"[^\w.-]+", "_", shown).strip("_")
    told_apart = len(name) < 100 and not shown.endswith(f"://{HIDDEN}")
    return name if told_apart else f"{name[:80]}_{content_hash(uri if len(name) < 100 else shown)}"


def _curve(path: str) -> list[tuple[str, float, int]]:
    found = []
    for point in (read_json(Path(path), list[dict[str, float]]) or []) if path else []:
        step = point.pop("step", 0)
        found += [(f"train/{name}", value, step) for name, value in point.items()]
    return found


def _check(uri: str) -> None:
    """Raise ConfigError for what is neither a server's address nor a database's."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    shown = f"tracking_uri={without_password(uri)}"
    try:
        if is_server(uri):
            parts = urlsplit(uri)
            right = bool(parts.hostname) and parts.port != 0
        else:
            url = make_url(uri)
            right = url.get_backend_name() in DATABASES and url.database not in (None, "", ":memory:")
            if right:
                url.get_dialect().import_dbapi()
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        right = False
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{shown} has no driver ({error.name} is missing); for postgresql+psycopg://: {INSTALL_POSTGRESQL}"
        ) from None
    if not right:
        raise ConfigError(
            f"{shown}: give http://host:port of an MLflow server, "
            "postgresql+psycopg://user:password@host/database or sqlite:////path/to/file.db"
        )


def store_uri(tracking_uri: str | None, runs: Path) -> str:
    """The address that the user gave, or that of the sqlite file in the runs folder."""
    return tracking_uri or f"sqlite:///{quote(str(runs / 'mlflow.db'))}"


def is_server(uri: str) -> bool:
    """Whether an MLflow server answers there, rather than a database."""
    return urlsplit(uri).scheme in SERVERS


def is_empty(uri: str) -> bool:
    """Whether it is a sqlite file that no job has made yet; to open it would make one."""
    path = unquote(uri.removeprefix("sqlite:///").partition("?")[0])
    return uri.startswith("sqlite:///") and not Path(path).is_file()


def quiet_mlflow() -> None:
    """Set, where the user has not, what MLflow reads when it is imported: it sends nothing home, and a
    server that is down does not hold it for minutes."""
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PATIENCE),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "PGCONNECT_TIMEOUT": str(PATIENCE),
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def check_store(uri: str) -> None:
    """Raise ConfigError, within seconds, for a server that does not answer and a database that cannot be read."""
    if is_empty(uri):
        return
    quiet_mlflow()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        MlflowClient(uri).search_experiments(max_results=1)
    except (MlflowException, ImportError) as error:  # a database's driver may be missing
        why = hide(str(error).splitlines()[0], uri)
        raise ConfigError(f"tracking_uri={without_password(uri)} cannot be read: {why}") from None
