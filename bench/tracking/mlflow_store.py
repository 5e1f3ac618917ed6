"""Sending runs to MLflow, so that what is sent twice, or was sent in part, is there once."""

import logging
import os
import re
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from bench.system.databases import INSTALL_POSTGRESQL, first_use, without_password
from bench.system.errors import ConfigError
from bench.tracking.store import is_server, quiet_mlflow, store_uri

BATCH = 1000  # metrics that MLflow takes in one call: single calls cost up to 100 ms each
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


@dataclass(frozen=True)
class Run:
    """All of a run, or (with the id of an earlier one) what is added to it. JSON can hold it.

    parent: the run above it, as `Outbox.put` named it. table: its columns. time: in ms since 1970.
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
    table: dict[str, list] = field(default_factory=dict)


class Store:
    """An MLflow server or database; `uri` None is a sqlite file below `runs`. Raises ConfigError for no address."""

    def __init__(self, uri: str | None, runs: Path) -> None:
        quiet_mlflow()
        import mlflow  # noqa: F401  three seconds: not at the top, and not beside the main thread

        for name in ("mlflow", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what fails is told by the one who sends
        self.is_server = _check(uri)
        self.uri = store_uri(uri, runs)
        self.artifacts = None if self.is_server else runs / "artifacts"
        self.shown = without_password(self.uri)
        self.name = "local" if uri is None else re.sub(r"[^\w.-]+", "_", self.shown).strip("_")
        self._experiments: dict[str, str] = {}

    def send(self, run: Run, parent: str | None) -> str:
        """Have MLflow hold all of `run`; returns its id there. `parent` is the id of the run above it there.

        Raises whatever MLflow and the libraries below it raise.
        """
        client, experiment = self._client, self._experiment(run.experiment)
        there = self._find(experiment, run)
        if there is None:
            tags = {**run.tags, "bench_id": run.id} | ({"mlflow.parentRunId": parent} if parent else {})
            created = client.create_run(experiment, run.time, tags, run.name)
            there = created.info.run_id
        self._log_numbers(there, run)
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

    def _find(self, experiment: str, run: Run) -> str | None:
        """The id of the run where it was sent before, in part or whole; those it stands for are deleted."""
        wanted = run.instead_of or {"bench_id": run.id}
        query = " and ".join(f"tags.{name} = '{value}'" for name, value in wanted.items())
        there = None
        for found in self._client.search_runs([experiment], query):
            if found.data.tags.get("bench_id") == run.id:
                there = found.info.run_id
            else:
                self._client.delete_run(found.info.run_id)
        return there

    def _log_numbers(self, there: str, run: Run) -> None:
        from mlflow.entities import Metric, Param

        # With one time for all, MLflow knows a value that it has been sent before.
        metrics = [Metric(name, float(value), 0, int(step)) for name, value, step in run.metrics]
        params = [Param(name, value[:6000]) for name, value in run.params.items()]
        for start in range(0, max(1, len(metrics)), BATCH):
            chunk = metrics[start : start + BATCH]
            self._client.log_batch(there, metrics=chunk, params=params if start == 0 else [])

    @cached_property
    def _client(self):
        from mlflow import MlflowClient

        with nullcontext() if self.is_server else first_use(self.uri):
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


def is_refused(error: Exception) -> bool:
    """Whether MLflow refused this one run, and others may still get through."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.get_http_status_code() in (400, 404, 409, 413)


def _check(uri: str | None) -> bool:
    """Whether this is the address of a server. Raises ConfigError for what is neither that nor a database's."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if uri is None:
        return False
    wrong = ConfigError(
        f"tracking_uri={without_password(uri)}: give http://host:port of an MLflow server, "
        "postgresql+psycopg://user:password@host/database or sqlite:////path/to/file.db"
    )
    try:
        if is_server(uri):
            parts = urlsplit(uri)
            if not parts.hostname or parts.port == 0:
                raise wrong
            return True
        url = make_url(uri)
        if url.get_backend_name() not in DATABASES or url.database in (None, "", ":memory:"):
            raise wrong
        url.get_dialect().import_dbapi()
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise wrong from None
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"tracking_uri={without_password(uri)} has no driver ({error.name} is missing); for "
            f"postgresql+psycopg://: {INSTALL_POSTGRESQL}"
        ) from None
    return False
