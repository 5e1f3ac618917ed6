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
