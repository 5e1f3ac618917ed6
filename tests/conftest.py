"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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
    return ensure_embedded(tmp_path_factory.mktemp("tiny"), spec, workers=1, progress=False)
