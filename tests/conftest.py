"""Fixtures that every test may use."""

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_finish() -> None:
    """What has been imported stays: libraries that ask for a collection need not wait for a look at all of it."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference material (real video, official outputs); tests that need it skip without it."""
    folder = Path(os.environ.get("VOS_REFERENCE_DIR", ROOT.parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(f"reference material not found at {folder}; set VOS_REFERENCE_DIR to its folder")
    return folder


@pytest.fixture(scope="session")
def tiny_davis(tmp_path_factory) -> Path:
    """A video set small enough to train on in a test: two training and two validation sequences of 48 px."""
    from datasets.embedded import EmbeddedSpec, ensure_embedded

    spec = EmbeddedSpec(train_sequences=2, train_frames=5, val_sequences=2, val_frames=5, height=48, width=64)
    return ensure_embedded(tmp_path_factory.mktemp("tiny"), spec, workers=1)


@pytest.fixture(scope="session", autouse=True)
def no_patience() -> Iterator[None]:
    """Beside other tests a machine does not become quiet; test_load.py has its own."""
    from bench.measure import load

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "PATIENCE", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_databases(tmp_path_factory) -> Iterator[None]:
    """MLflow takes seconds to make a database: it does so once, and tests that have none yet get a copy."""
    from bench.system.databases import first_use
    from bench.tracking import store

    made = tmp_path_factory.mktemp("mlflow") / "mlflow.db"

    @contextmanager
    def first_use_of_a_copy(url: str) -> Iterator[None]:
        place = Path(url.removeprefix("sqlite:///"))
        if url.startswith("sqlite:///") and not place.exists():
            if not made.exists():
                from mlflow import MlflowClient

                MlflowClient(f"sqlite:///{made}")
            shutil.copyfile(made, place)
        with first_use(url):
            yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "first_use", first_use_of_a_copy)
        yield
