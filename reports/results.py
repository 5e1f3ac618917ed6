"""The results that an MLflow store holds: the newest finished run of each ablation, evaluation and measurement."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.record import Record, read_records

RECORDS = "records.jsonl"  # artifact of an invocation's run: a record per cell
KEY = ("ablation", "method", "dataset", "scale")  # tags that tell ablations apart; other jobs: the experiment
MOST = 50_000  # commands of a store that are looked at, the newest ones: what MLflow gives at once
COSTS = "measure"  # the job whose records have costs and no scores


@dataclass(frozen=True)
class Result:
    """What one command gave. `ablation` is empty for other jobs, `records` for a search and what did not end."""

    experiment: str
    job: str
    ablation: str
    method: str
    dataset: str
    scale: str
    title: str
    folder: Path  # of its tables and pictures, on the machine that made them
    records: list[Record]

    @property
    def name(self) -> str:
        """Fit for a file: `sampling-mobilevos_r18-embedded-laptop`, or the experiment's."""
        parts = [self.ablation, self.method, self.dataset, self.scale] if self.ablation else [self.experiment]
        return "".join(c if c.isalnum() or c in "-_." else "_" for c in "-".join(parts))


def read_results(uri: str) -> list[Result]:
    """The newest result of each ablation (see KEY) and of each other experiment, oldest first.

    One has no records where none of its runs has ended.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    names = {e.experiment_id: e.name for e in client.search_experiments()}
    newest = ["attributes.start_time DESC", "attributes.run_id"]
    found: dict[tuple[str, ...], Result] = {}
    for run in client.search_runs(list(names), "tags.kind = 'invocation'", max_results=MOST, order_by=newest):
        tags, experiment = run.data.tags, names[run.info.experiment_id]
        key = tuple(tags.get(name, "") for name in KEY) if "ablation" in tags else (experiment,)
        known = found.get(key)
        if known and (known.records or known.job == "search"):
            continue
        result = Result(
            experiment,
            tags.get("job", ""),
            **{name: tags.get(name, "") for name in KEY},
            title=run.info.run_name,
            folder=Path(tags.get("folder", "")),
            records=_records(client, run.info.run_id),
        )
        if result.records or not known:
            found[key] = result
    return list(found.values())[::-1]


def _records(client, run: str) -> list[Record]:
    """Those of an invocation; none when it has not ended, or its artifacts are elsewhere."""
    if RECORDS not in {artifact.path for artifact in client.list_artifacts(run)}:
        return []
    with tempfile.TemporaryDirectory() as folder:
        return read_records(Path(client.download_artifacts(run, RECORDS, folder)))
