"""Pictures of a report: copies of those that lie in a result's folder, or drawn anew where that is gone."""

import shutil
import tempfile
from pathlib import Path

from PIL import Image

from bench.record import read_records
from reports.results import RECORDS, Result

ENDINGS = (".png", ".svg")
LARGE = 300_000  # bytes: larger pictures are photographs
WIDEST = 1800  # pixels
CAPTIONS = {  # by the name of the file; others are called by it
    "accuracy": "J&F of every row: seeds, mean and 95 % interval",
    "convergence": "Losses along the training",
    "differences": "Differences to the reference, with 95 % intervals",
    "footprint": "J&F against memory",
    "growth": "Cost as the video grows longer",
    "measure": "Latency against the length of the video and the number of objects",
    "overlays": "Masks over frames of one video",
    "sampling": "Pixels that the representation loss compares",
    "sweep": "J&F along the varied value",
    "history": "Values over trials",
    "importances": "What sets good trials apart",
    "front": "J&F against cost",
}


def adopt_pictures(result: Result, folder: Path) -> dict[Path, str]:
    """Put the result's pictures into `folder`; returns {file: caption}.

    Its own folder may hold those of another command by now: they are taken if its records are the result's.
    """
    if result.records and not _holds(result.folder, result):
        with tempfile.TemporaryDirectory() as drawn:
            return _adopt(result.name, _draw(result, Path(drawn)), folder)
    pictures = result.folder.iterdir() if result.folder.is_dir() else ()
    return _adopt(result.name, [path for path in pictures if path.suffix in ENDINGS], folder)


def _holds(folder: Path, result: Result) -> bool:
    try:
        return read_records(folder / RECORDS) == result.records
    except (OSError, ValueError, TypeError):
        return False


def _draw(result: Result, folder: Path) -> list[Path]:
    from reports.figures import write_figures
    from reports.pictures import overlay_sheet, sampling_sheet

    paths = write_figures(result.records, folder)
    paths += [*overlay_sheet(result.records, folder), *sampling_sheet(result.records, folder)]
    return [path for path in paths if path.suffix in ENDINGS]


def _adopt(name: str, paths: list[Path], folder: Path) -> dict[Path, str]:
    folder.mkdir(parents=True, exist_ok=True)
    order = [*CAPTIONS]
    paths.sort(key=lambda path: (order.index(path.stem) if path.stem in order else len(order), path.name))
    return {_copy(path, folder / f"{name}-{path.name}"): CAPTIONS.get(path.stem, path.stem) for path in paths}


def _copy(path: Path, target: Path) -> Path:
    """Large pictures become smaller: the page holds them all."""
    if path.suffix == ".svg" or path.stat().st_size <= LARGE:
        shutil.copyfile(path, target)
        return target
    target = target.with_suffix(".webp")
    with Image.open(path) as picture:
        smaller = picture.convert("RGB")
        smaller.thumbnail((WIDEST, picture.height), Image.LANCZOS)
        smaller.save(target, quality=85)
    return target
