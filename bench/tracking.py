"""MLflow: one parent run an invocation, one child run a cell."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from bench.cells import Cell
from bench.networks import weights_file
from bench.record import Record
from methods.checkpoint import read_file

BATCH = 1000  # metrics that MLflow takes in one call
PARAMS = ("label", "method", "recipe", "dataset", "seed", "scale", "options", "initialisation", "train_steps",
          "train_clips", "resolution", "precision")  # fmt: skip
TAGS = ("device", "versions", "git_commit", "config_hash")


class Tracker:
    """Writes to an MLflow store: by default a sqlite file and an artifact folder below `runs`."""

    def __init__(self, uri: str | None, runs: Path, experiment: str) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient  # three seconds: not at the top

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.runs = runs
        self.parent: str | None = None
        runs.mkdir(parents=True, exist_ok=True)
        # Two processes that create the database at once break it for good.
        with FileLock(runs / "mlflow.lock"):
            self.client = MlflowClient(uri or f"sqlite:///{quote(str(runs / 'mlflow.db'))}")
            found = self.client.get_experiment_by_name(experiment)
            location = None if uri else (runs / "artifacts" / experiment).absolute().as_uri()
            self.experiment = (
                found.experiment_id if found else self.client.create_experiment(experiment, location)
            )

    @contextmanager
    def invocation(self, title: str, config: DictConfig, facts: dict[str, str]) -> Iterator["Tracker"]:
        """The parent run of all cells that this invocation finishes."""
        run = self.client.create_run(self.experiment, run_name=title, tags={"kind": "invocation", **facts})
        self.parent = run.info.run_id
        self.client.log_dict(self.parent, OmegaConf.to_container(config), "config.yaml")
        try:
            yield self
        except BaseException:
            self.client.set_terminated(self.parent, "FAILED")
            raise
        self.client.set_terminated(self.parent, "FINISHED")

    def log_cell(self, cell: Cell, record: Record, folder: Path) -> str:
        """Write a finished cell with its curves, scores, checkpoint and picture; returns the run's id."""
        run = self._create(record)
        self._log_batches(run, _metrics(record))
        for name in ("overlay.png", "scores.json"):
            self.client.log_artifact(run, str(folder / name))
        weights = weights_file(cell.network, self.runs)
        if weights is not None and cell.network.training is not None:
            self._log_batches(run, _curve(read_file(weights).get("curve", [])))
            self.client.log_artifact(run, str(weights))
        self.client.set_terminated(run, "FINISHED")
        return run

    def log_bare(self, record: Record) -> str:
        """A run for a cell without files: one that failed (the tag `status` says why) or only has costs."""
        run = self._create(record)
        self._log_batches(run, _metrics(record))
        self.client.set_terminated(run, "FINISHED" if record.status == "ok" else "FAILED")
        return run

    def log_trial(self, record: Record, values: dict[str, float], along: dict[int, float]) -> str:
        """A bare run for a trial of a search: what it varied, the values of its objectives, J&F in training."""
        run = self._create(record)
        reached = [(f"objective/{name}", value, 0) for name, value in values.items()]
        reached += [("jf_in_training", value, number) for number, value in along.items()]
        varied = {key: str(value) for key, value in json.loads(record.varied).items()}
        self._log_batches(run, _metrics(record) + reached, varied)
        stopped = "KILLED" if record.status.startswith("pruned") else "FAILED"
        self.client.set_terminated(run, "FINISHED" if record.status == "ok" else stopped)
        return run

    def _create(self, record: Record) -> str:
        """A run for the cell in place of any that an earlier invocation left for it."""
        for old in self.client.search_runs([self.experiment], f"tags.config_hash = '{record.config_hash}'"):
            self.client.delete_run(old.info.run_id)
        values = asdict(record)
        tags = {"mlflow.parentRunId": self.parent, "kind": "cell", "status": record.status}
        tags |= {name: values[name] for name in TAGS}
        run = self.client.create_run(
            self.experiment, run_name=f"{record.label} seed {record.seed}", tags=tags
        ).info.run_id
        self._log_batches(run, [], {name: str(values[name]) for name in PARAMS})
        return run

    def log_table(self, records: list[Record]) -> None:
        """All cells of the invocation as one table on the parent run."""
        rows = [asdict(record) for record in records]
        shown = ("label", "seed", "status", "jf_mean", "j_mean", "f_mean", "fps", "params_m", "mlflow_run_id")
        self.client.log_table(self.parent, {k: [r[k] for r in rows] for k in shown}, "cells.json")
        self._log_batches(
            self.parent,
            [(f"jf_mean/{_safe(r.label)}", r.jf_mean, r.seed) for r in records if r.jf_mean is not None],
        )

    def _log_batches(self, run: str, metrics: list[tuple], params: dict[str, str] | None = None) -> None:
        """One call a thousand values: single calls cost up to 100 ms each."""
        from mlflow.entities import Metric, Param

        entities = [Metric(name, float(value), 0, int(step)) for name, value, step in metrics]
        names = [Param(name, value[:6000]) for name, value in (params or {}).items()]
        for start in range(0, max(1, len(entities)), BATCH):
            chunk = entities[start : start + BATCH]
            self.client.log_batch(run, metrics=chunk, params=names if start == 0 else [])


def _metrics(record: Record) -> list[tuple[str, float, int]]:
    """Every number of a record, and J&F of each sequence."""
    numbers = [
        (name, value, 0)
        for name, value in asdict(record).items()
        if isinstance(value, int | float) and name not in ("seed", "train_steps")
    ]
    sequences = json.loads(record.per_sequence or "{}")
    kind = "miou_image" if record.miou is not None else "jf_sequence"
    return numbers + [(f"{kind}/{_safe(name)}", value, 0) for name, value in sequences.items()]


def _curve(points: list[dict[str, float]]) -> list[tuple[str, float, int]]:
    return [
        (f"train/{name}", value, int(point["step"]))
        for point in points
        for name, value in point.items()
        if name != "step"
    ]


def _safe(name: str) -> str:
    """MLflow's metric names hold letters, digits and _-. /."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)
