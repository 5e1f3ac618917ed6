"""check=official: the same masks through davis2017-evaluation, the official tool, if it is installed."""

import io
import math
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from bench.score.accuracy import FIGURES
from bench.score.folder import Protocol, Task, judged_ids, read_masks
from bench.system.errors import ConfigError
from datasets.images import read_mask, write_mask

TOLERANCE = 1e-9
INSTALL = ".venv/bin/python -m pip install --no-deps -r bench/requirements-official.txt"


def load_official() -> ModuleType:
    """The module of its entry point; raises ConfigError, saying how to install it, when it is not there."""
    try:
        return import_module("davis2017.evaluation")
    except ImportError as error:
        raise ConfigError(f"check=official needs davis2017-evaluation ({error}): {INSTALL}") from None


def official_scores(tasks: list[Task], protocol: Protocol) -> dict[str, dict[str, float]]:
    """What davis2017-evaluation says of each object: its name `<sequence>_<id>` to the seven FIGURES.

    The masks are laid out for it in a temporary folder, with ids as `bench.score.folder` reads them: it knows
    neither masks of 0 and 255 nor merged objects. Raises ConfigError when it cannot evaluate these sequences
    (objects that appear late, frames without a truth) and when it stops.
    """
    evaluation = load_official().DAVISEvaluation
    for sequence in (task.sequence for task in tasks):
        if sequence.appears is not None or None in sequence.masks:
            needs = "needs a truth for every frame and all objects in the first"
            raise ConfigError(f"check=official: davis2017-evaluation {needs}; sequence {sequence.name} is not so")
    with TemporaryDirectory() as root:
        masks = _lay_out(tasks, protocol, Path(root))
        said = io.StringIO()
        try:
            with redirect_stdout(said):
                found = evaluation(root, task="semi-supervised", gt_set="val").evaluate(str(masks))
        except SystemExit:
            why = " ".join(said.getvalue().split())
            raise ConfigError(f"check=official: davis2017-evaluation stopped: {why}") from None
    scores: dict[str, dict[str, float]] = {}
    for number, name in enumerate(found["J"]["M_per_object"]):
        one = {
            f"{measure.lower()}_{key}": float(found[measure][short][number])
            for measure in "JF"
            for key, short in (("mean", "M"), ("recall", "R"), ("decay", "D"))
        }
        scores[name] = {**one, "jf_mean": (one["j_mean"] + one["f_mean"]) / 2}
    return scores


def compare(ours: dict[str, dict[str, float]], official: dict[str, dict[str, float]]) -> dict:
    """The largest absolute difference of any figure of an object of both, where it is, and the other objects.

    Two NaN do not differ; one differs infinitely from a number.
    """
    both = [name for name in ours if name in official]
    differences = {f"{n} {key}": _difference(ours[n][key], official[n][key]) for n in both for key in FIGURES}
    where = max(differences, key=lambda figure: differences[figure], default="")
    return {
        "largest_difference": differences.get(where, math.inf),
        "where": where,
        "objects": len(both),
        "only_ours": sorted(set(ours) - set(official)),
        "only_official": sorted(set(official) - set(ours)),
    }


def agrees(comparison: dict) -> bool:
    """Whether both evaluate the same objects and differ by less than TOLERANCE."""
    others = comparison["only_ours"] or comparison["only_official"]
    return not others and comparison["largest_difference"] < TOLERANCE


def _difference(a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return 0.0 if math.isnan(a) and math.isnan(b) else math.inf
    return abs(a - b)


def _lay_out(tasks: list[Task], protocol: Protocol, root: Path) -> Path:
    """Write the truth as a DAVIS folder; returns the folder of predictions. Only names of frames are looked at."""
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{task.sequence.name}\n" for task in tasks))
    for task in tasks:
        sequence = task.sequence
        folders = "JPEGImages/480p", "Annotations/480p", "predictions"
        frames, truths, predictions = (root / folder / sequence.name for folder in folders)
        frames.mkdir(parents=True)
        for index in range(len(sequence)):
            (frames / f"{index:05d}.jpg").touch()
        for index in (0, len(sequence) - 1):
            write_mask(truths / f"{index:05d}.png", read_mask(sequence.mask_file(index), sequence.binary))
        for index, prediction, truth in read_masks(task, judged_ids(sequence, protocol)):
            write_mask(truths / f"{index:05d}.png", truth)
            write_mask(predictions / f"{index:05d}.png", prediction)
    return root / "predictions"
