"""Figures of a report: copies of those that lie in a result's folder, or drawn anew where that is gone."""

import shutil
import tempfile
from pathlib import Path

from PIL import Image

from bench.record import read_records
from reports.figures import captions, write_figures
from reports.results import RECORDS, Result

ENDINGS = (".png", ".svg")
LARGE = 300_000  # bytes: larger ones are photographs
WIDEST = 1800  # pixels


def adopt_figures(result: Result, folder: Path) -> dict[Path, str]:
    """Put the result's figures into `folder`; returns {file: caption}.

    Its own folder may hold those of another command by now: they are taken if its records are the result's.
    """
    with tempfile.TemporaryDirectory() as drawn:
        if result.records and not _holds(result.folder, result):
            paths = write_figures(result.records, Path(drawn))
        else:
            paths = sorted(result.folder.iterdir()) if result.folder.is_dir() else []
        folder.mkdir(parents=True, exist_ok=True)
        found = captions([path for path in paths if path.suffix in ENDINGS])
        return {_copy(path, folder / f"{result.name}-{path.name}"): text for path, text in found.items()}


def _holds(folder: Path, result: Result) -> bool:
    try:
        return read_records(folder / RECORDS) == result.records
    except (OSError, ValueError, TypeError):
        return False


def _copy(path: Path, target: Path) -> Path:
    """Large ones become smaller: the page holds them all."""
    if path.suffix == ".svg" or path.stat().st_size <= LARGE:
        shutil.copyfile(path, target)
        return target
    target = target.with_suffix(".webp")
    with Image.open(path) as picture:
        smaller = picture.convert("RGB")
        smaller.thumbnail((WIDEST, picture.height), Image.Resampling.LANCZOS)
        smaller.save(target, quality=85)
    return target
