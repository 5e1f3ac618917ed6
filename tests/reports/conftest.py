"""Made-up records: three labels with two seeds each, and a teacher with one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from bench.record import Record, to_jsonl

SEQUENCES = {"bear": 1.0, "camel": -3.0, "dog": 2.0}  # how much easier than the average a sequence is


def cell(label: str, seed: int, score: float, **fields) -> Record:
    """A trained cell whose J&F is `score` on average."""
    made_up = {
        "method": "mobilevos_r18",
        "recipe": label,
        "dataset": "toy-val",
        "jf_mean": score,
        "j_mean": score - 2,
        "f_mean": score + 2,
        "sequences": 3,
        "objects": 5,
        "resolution": "96x160",
        "scale": "laptop",
        "train_steps": 300,
        "train_clips": "toy clips",
        "initialisation": "random",
        "params_m": 0.4,
        "params_m_full": 8.1,
        "gmacs_full": 20.0,
        "latency_ms_median_full": 450.0,
        "fps": 40.0 + seed,
        "device": "a slow CPU",
        "per_sequence": json.dumps({name: score + ease for name, ease in SEQUENCES.items()}),
    }
    return Record(label=label, seed=seed, **(made_up | fields))


def failed_cell(label: str, seed: int, why: str) -> Record:
    """What is recorded of a cell that failed before it was trained."""
    return Record(label, "mobilevos_r18", label, "toy-val", seed, status=why, initialisation="unknown")


@pytest.fixture
def records() -> list[Record]:
    teacher = {"method": "stcn", "train_steps": 0, "params_m": 2.7, "params_m_full": 54.4, "gmacs_full": 180.0}
    return [
        cell("teacher", 0, 71.25, **teacher),
        *(cell("plain", seed, 50.0 + seed) for seed in (0, 1)),
        *(cell("near_boundary", seed, 54.0 + 2 * seed) for seed in (0, 1)),
        *(cell("omega=1 & soft", seed, 49.5 + 2 * seed) for seed in (0, 1)),
    ]


@pytest.fixture(scope="session")
def make_cell():
    return cell


@pytest.fixture
def make_failed_cell():
    return failed_cell


@pytest.fixture
def saved(monkeypatch) -> list[Figure]:
    """The figures that were saved as png, without waiting for the files."""
    figures = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: figures.append(self) if path.suffix == ".png" else None
    )
    return figures


def log_result(runs: Path, experiment: str, records: list[Record] | None, job: str = "ablate", **tags) -> Path:
    """A command's run in the MLflow store of `runs`, as the benchmark logs it; returns its folder of results.

    Without records the command has begun and not ended. tags: ablation, method, dataset, scale and title, where
    they differ from the defaults.
    """
    from bench.tracking.tracker import Tracker

    given = {"ablation": experiment, "method": "mobilevos_r18", "dataset": "embedded", "scale": "laptop", **tags}
    config = {"job": job, "method": given["method"], "tracking_uri": None}
    config |= {key: {"name": given[key]} for key in ("ablation", "dataset", "scale")}
    folder = runs / "out" / experiment
    folder.mkdir(parents=True, exist_ok=True)
    tracker = Tracker(None, runs, experiment)
    with tracker.invocation(given.get("title", experiment), OmegaConf.create(config), {}, folder):
        if records is not None:
            tracker.table = records
            (folder / "records.jsonl").write_text(to_jsonl(records))
    return folder


@pytest.fixture(scope="session")
def write_result() -> Callable[..., Path]:
    return log_result
