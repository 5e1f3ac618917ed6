"""MLflow: one parent run an invocation, one child run a cell or a trial."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from uuid import uuid4

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from bench.plan.cells import Cell, weights_file
from bench.record import Record, to_jsonl
from bench.system.databases import without_passwords
from bench.tracking.mlflow_store import Run, Store
from bench.tracking.outbox import Outbox
from methods.checkpoint import read_file

PARAMS = ("label", "method", "recipe", "dataset", "seed", "scale", "options", "initialisation", "train_steps",
          "train_clips", "resolution", "precision")  # fmt: skip
TAGS = ("device", "versions", "git_commit", "config_hash")
SHOWN = ("label", "seed", "status", "jf_mean", "j_mean", "f_mean", "fps", "params_m", "mlflow_run_id")


class Tracker:
    """Records to MLflow, by default a sqlite file and an artifact folder below `runs`; a server stops nothing.

    What is recorded returns the run's id in MLflow, or "unsent-<our id>" while MLflow does not take it: `name`
    then tells the id later. Raises ConfigError for an address that is none.
    """

    def __init__(self, uri: str | None, runs: Path, experiment: str, quiet: bool = False) -> None:
        self.runs, self.experiment = runs, experiment
        self.parent: str | None = None
        self._outbox = Outbox(Store(uri, runs), runs, quiet)
        self._table: list[Record] = []
        self._origin = _origin(runs)
        self.name, self.close = self._outbox.name, self._outbox.close

    @contextmanager
    def invocation(
        self, title: str, config: DictConfig, facts: dict[str, str], out: Path
    ) -> Iterator["Tracker"]:
        """The parent run of all cells that this invocation finishes; its tags tell invocations apart."""
        text = OmegaConf.to_yaml(without_passwords(config))
        tags = {"kind": "invocation", "job": config.job, "folder": str(out), **facts}
        if config.job == "ablate":
            tags |= {"ablation": config.ablation.name, "method": config.method}
        tags |= {"dataset": config.dataset.name, "scale": config.scale.name}
        start = Run(uuid4().hex, self.experiment, title, "RUNNING", _now(), tags, texts={"config.yaml": text})
        self.parent = self._outbox.put(start)
        status = "FAILED"
        try:
            yield self
            status = "FINISHED"
        finally:
            self._outbox.put(replace(start, status=status, time=_now(), **self._all_cells()))
            self.close()

    def log_cell(self, cell: Cell, record: Record, folder: Path) -> str:
        """Record a finished cell with its curves, scores, checkpoint and picture."""
        run = self._run(record)
        files = [path for name in ("overlay.png", "scores.json") if (path := folder / name).exists()]
        metrics = run.metrics
        weights = weights_file(cell.network, self.runs)
        if weights is not None and cell.network.training is not None:
            metrics = metrics + _curve(read_file(weights).get("curve", []))
            files.append(weights)
        return self._outbox.put(replace(run, metrics=metrics, files=[str(file) for file in files]))

    def log_bare(self, record: Record) -> str:
        """A run for a cell without files: one that failed (the tag `status` says why) or only has costs."""
        return self._outbox.put(self._run(record))

    def log_trial(self, record: Record, values: dict[str, float], along: dict[int, float]) -> str:
        """A bare run for a trial of a search: what it varied, the values of its objectives, J&F in training."""
        run = self._run(record)
        reached = [(f"objective/{name}", value, 0) for name, value in values.items()]
        reached += [("jf_in_training", value, number) for number, value in along.items()]
        varied = {key: str(value) for key, value in json.loads(record.varied).items()}
        status = "KILLED" if record.status.startswith("pruned") else run.status
        return self._outbox.put(
            replace(run, status=status, metrics=run.metrics + reached, params=run.params | varied)
        )

    def log_table(self, records: list[Record]) -> None:
        """All cells of the invocation, which the parent run gets as one table when it ends."""
        self._table = records

    def _run(self, record: Record) -> Run:
        """The cell's run, in place of any that an earlier invocation recorded from the same `runs`."""
        values = asdict(record)
        instead_of = {"config_hash": record.config_hash, "origin": self._origin}
        return Run(
            id=uuid4().hex,
            experiment=self.experiment,
            name=f"{record.label} seed {record.seed}",
            status="FINISHED" if record.status == "ok" else "FAILED",
            time=_now(),
            tags={
                "kind": "cell",
                "status": record.status,
                **{name: values[name] for name in TAGS},
                **instead_of,
            },
            parent=self.parent,
            instead_of=instead_of,
            params={name: str(values[name]) for name in PARAMS},
            metrics=_metrics(record),
        )

    def _all_cells(self) -> dict:
        records = [replace(r, mlflow_run_id=self.name(r.mlflow_run_id)) for r in self._table]
        rows = [asdict(record) for record in records]
        scores = [(f"jf_mean/{_safe(r['label'])}", r["jf_mean"], r["seed"]) for r in rows]
        return {
            "texts": {"records.jsonl": to_jsonl(records)} if records else {},
            "table": {key: [row[key] for row in rows] for key in SHOWN} if rows else {},
            "metrics": [(name, value, seed) for name, value, seed in scores if value is not None],
        }


def _now() -> int:
    """Milliseconds since 1970, for people to read: nothing depends on it."""
    return int(1000 * time.time())


def _origin(runs: Path) -> str:
    """What tells this folder of runs from others that record to the same server."""
    path = runs / "origin"
    with FileLock(runs / "origin.lock"):
        if not path.exists():
            path.write_text(uuid4().hex)
        return path.read_text()


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
