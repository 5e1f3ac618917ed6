"""MLflow: one parent run an invocation, one child run a cell or a trial."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from uuid import uuid4

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from bench.plan.cells import content_hash
from bench.plan.compose import OF_ROWS
from bench.record import Record, to_jsonl
from bench.system.databases import without_passwords
from bench.system.files import set_aside, write_text
from bench.tracking.sender import Sender
from bench.tracking.store import Run, Store

PARAMS = ("label", "method", "recipe", "dataset", "seed", "scale", "options", "initialisation", "train_steps",
          "train_clips", "resolution", "precision")  # fmt: skip
TAGS = ("device", "versions", "git_commit", "config_hash")
SHOWN = ("label", "seed", "status", "jf_mean", "j_mean", "f_mean", "fps", "params_m", "mlflow_run_id")


class Tracker:
    """Records to MLflow, by default a sqlite file and an artifact folder below `runs`; a server stops nothing.

    What is recorded has the id of its run in MLflow, or none while MLflow does not take it.
    Raises ConfigError for an address that is none.
    """

    def __init__(self, uri: str | None, runs: Path, experiment: str, quiet: bool = False) -> None:
        self.experiment = experiment
        self.parent: str | None = None  # our id of the run above all others
        self.table: list[Record] = []  # all cells of the invocation, which its run gets when it ends
        self._sender = Sender(Store(uri, runs), runs, quiet)
        self.close = self._sender.retry  # for those who record below another process's invocation
        self._origin = _origin(runs)

    @contextmanager
    def invocation(self, title: str, config: DictConfig, facts: dict[str, str], out: Path) -> Iterator["Tracker"]:
        """The parent run of all cells that this invocation finishes; its tags tell invocations apart."""
        text = OmegaConf.to_yaml(without_passwords(config))
        tags = {"kind": "invocation", "job": config.job, "folder": str(out), **facts}
        if config.job in OF_ROWS:
            tags |= {"ablation": config.ablation.name, "method": config.method}
        tags |= {"dataset": config.dataset.name, "scale": config.scale.name}
        start = Run(uuid4().hex, self.experiment, title, "RUNNING", _now(), tags, texts={"config.yaml": text})
        self.parent = start.id
        self._sender.retry()
        self._sender.send(start)
        status = "FAILED"
        try:
            yield self
            status = "FINISHED"
        finally:
            self._sender.retry()
            self._sender.send(replace(start, status=status, time=_now(), **self._all_cells()))
            self._sender.tell_kept()

    def log(self, record: Record, cell: Path | None = None) -> Record:
        """The record, with its run: of an evaluated cell with the curves, checkpoint, scores and picture.

        cell: its folder, with its record, which gets the run's id, too. Others (failed, or with nothing but costs)
        have a run each invocation.
        """
        if record.mlflow_run_id:
            return record
        run = self._run(record)
        if cell is not None:
            files = [str(cell / "overlay.png"), str(cell / "scores.json")]
            trained = [record.weights] if record.curve else []
            run = replace(run, cell=str(cell), files=files + trained, curve=record.curve)
        return replace(record, mlflow_run_id=self._sender.send(run))

    def log_trial(self, record: Record, values: dict[str, float], along: dict[int, float]) -> Record:
        """The record of a search's trial, with its run: what it varied, the objectives, J&F in training."""
        run = self._run(record)
        reached = [(f"objective/{name}", value, 0) for name, value in values.items()]
        reached += [("jf_in_training", value, number) for number, value in along.items()]
        varied = {key: str(value) for key, value in json.loads(record.varied).items()}
        status = "KILLED" if record.status.startswith("pruned") else run.status
        run = replace(run, status=status, metrics=run.metrics + reached, params=run.params | varied)
        return replace(record, mlflow_run_id=self._sender.send(run))

    def _id(self, record: Record) -> str:
        """The same for the same row, so that one that was sent in part is found."""
        return content_hash([self.parent, record.label, record.seed])

    def _run(self, record: Record) -> Run:
        """The cell's run, in place of any that an earlier invocation recorded from the same `runs`."""
        values = asdict(record)
        instead_of = {"config_hash": record.config_hash, "origin": self._origin}
        return Run(
            id=self._id(record),
            experiment=self.experiment,
            name=f"{record.label} seed {record.seed}",
            status="FINISHED" if record.status == "ok" else "FAILED",
            time=_now(),
            tags={"kind": "cell", "status": record.status, **{name: values[name] for name in TAGS}, **instead_of},
            parent=self.parent,
            instead_of=instead_of,
            params={name: str(values[name]) for name in PARAMS},
            metrics=_metrics(record),
        )

    def _all_cells(self) -> dict:
        """What the run of the invocation gets of its table; those sent at last have their ids now."""
        if not self.table:
            return {}
        sent = self._sender.sent
        self.table = [replace(r, mlflow_run_id=r.mlflow_run_id or sent.get(self._id(r), "")) for r in self.table]
        scored = [record for record in self.table if record.jf_mean is not None]
        return {
            "texts": {"records.jsonl": to_jsonl(self.table)},
            "table": {key: [getattr(record, key) for record in self.table] for key in SHOWN},
            "metrics": [(f"jf_mean/{_safe(record.label)}", record.jf_mean, record.seed) for record in scored],
        }


def _now() -> int:
    """Milliseconds since 1970, for people to read: nothing depends on it."""
    return int(1000 * time.time())


def _origin(runs: Path) -> str:
    """What tells this folder of runs from others that record to the same server."""
    path = runs / "origin"
    with FileLock(runs / "origin.lock"):
        found = path.read_bytes() if path.exists() else b""
        if not re.fullmatch(rb"[0-9a-f]{32}", found):
            if path.exists():
                set_aside(path)
            write_text(path, uuid4().hex)
        return path.read_text()


def _metrics(record: Record) -> list[tuple[str, float, int]]:
    """Every number of a record, and J&F of each sequence."""
    values = {name: value for name, value in asdict(record).items() if name not in ("seed", "train_steps")}
    kind = "miou_image" if record.miou is not None else "jf_sequence"
    sequences = {f"{kind}/{_safe(name)}": v for name, v in json.loads(record.per_sequence or "{}").items()}
    return [(name, v, 0) for name, v in (values | sequences).items() if isinstance(v, int | float)]


def _safe(name: str) -> str:
    """MLflow's metric names hold letters, digits and _-. /."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)
