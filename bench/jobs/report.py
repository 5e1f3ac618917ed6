"""job=report: every table and picture of the MLflow store as notebooks, which `python -m reports` runs."""

from pathlib import Path

from omegaconf import DictConfig

from bench.jobs.results import results_folder, tell
from bench.system.databases import without_password
from bench.system.files import write_json
from bench.tracking.store import check_store, is_empty, store_uri


def run(config: DictConfig, runs: Path) -> int:
    """Write report.json into the folder of results: where the store is (null: nothing has made it yet)."""
    uri = store_uri(config.tracking_uri, runs)
    check_store(uri)
    out = results_folder(config, "report")
    write_json(out / "report.json", {"store": None if is_empty(uri) else uri, "shown": without_password(uri)})
    tell(out)
    return 0
