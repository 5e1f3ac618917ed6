"""Running a method over a set of videos: masks and scores, a sequence at a time."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bench.score.accuracy import SequenceScores, score_frames
from bench.score.folder import Protocol, find_tasks, judged_frames, read_predictions
from bench.score.inference import follow, threads_for
from bench.score.metrics import extra_metrics
from bench.system.errors import ConfigError
from bench.system.files import inside, read_json, replace_atomically, write_json
from bench.system.progress import track
from bench.system.workers import threads
from datasets.clips import ImageCache
from datasets.errors import DataError
from datasets.images import frame_size, read_ids, write_mask
from datasets.sequence import Sequence, VideoSet
from methods.backbones.frozen import joined_norms
from methods.outside import MaskFolder
from methods.space_time import SpaceTimeMethod

# Of a sequence's masks in memory, 160 frames of 480p: of its ground truth, the rest of which is read twice, and of
# predictions, so many of which are written at once: a method that waits for a disk after every frame is slower.
HELD_MB = 64
Predicted = tuple[np.ndarray, float | None]  # the mask of a frame, and the milliseconds of its step


@dataclass(frozen=True)
class Evaluation:
    """Scores of every sequence, and the milliseconds of every step (decoding and scoring excluded).

    The scores of a sequence without a truth to compare with are of no frame. Masks that are there have no steps.
    """

    scores: list[SequenceScores]
    step_ms: list[float]
    resolution: str


def evaluate(method, videos: VideoSet, folder: Path, device: str, label: str = "") -> Evaluation:
    """Segment and score every sequence; `folder` gets `masks/<sequence>/*.png` and `scores/*.json`.

    Sequences that an earlier, interrupted evaluation finished are taken from the folder. The score follows
    the DAVIS protocol (first and last frame not evaluated) or, for a sequence that tells when its objects
    appear, that of YouTube-VOS; frames without a mask are not evaluated. A mask that gives an object need not
    show the others: a sequence without any other mask is segmented but not scored. Of a MaskFolder the masks are
    read instead, as job=score does.

    Raises ConfigError when objects appear late and the method cannot add them, or when a sequence has too
    few frames to be scored; MethodError for answers of the wrong shape or that are no numbers; DataError for a
    mask that is missing.
    """
    late = next((s.name for s in videos.sequences if any((s.appears or {}).values())), None)
    if isinstance(method, MaskFolder):
        find_tasks(videos, method.folder, Protocol())  # a missing mask is told before any work
    elif late is not None and not hasattr(method, "add"):
        raise ConfigError(
            f"{type(method).__name__} cannot add objects after the first frame, but some of {late} appear "
            f"later: choose another method or data set"
        )
    if isinstance(method, SpaceTimeMethod):  # what their convolutions are fastest in
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    done = []
    frames = sum(len(sequence) for sequence in videos.sequences)
    with track("evaluate", label or videos.name, frames, "frames") as bar:
        for sequence in videos.sequences:
            path = inside(folder, "scores", f"{sequence.name}.json")
            entry = _finished(path, sequence, folder)
            if entry is not None:
                bar.skip(len(sequence))
            else:
                with threads(threads_for(*frame_size(sequence.frames[0]))):
                    entry = _evaluate_sequence(method, sequence, folder, device)
                write_json(path, entry)
                bar.update(len(sequence))
            done.append(entry)
    sizes = {tuple(e["size"]) for e in done}
    resolution = "x".join(map(str, sizes.pop())) if len(sizes) == 1 else "mixed"
    return Evaluation([_scores(e) for e in done], [ms for e in done for ms in e["step_ms"]], resolution)


def _finished(path: Path, sequence: Sequence, folder: Path) -> dict | None:
    """What an earlier evaluation found of a sequence; None unless that and all masks are whole."""
    entry, masks = read_json(path, dict), folder / "masks" / sequence.name
    if entry is None:
        return None
    try:
        for frame in sequence.frames:
            read_ids(masks / f"{frame.stem}.png")
        scores = _scores(entry)
        shapes = {scores.f.shape, scores.j.shape, *(scores.extra[metric.name].shape for metric in extra_metrics())}
        whole = len(shapes) == 1 and scores.object_ids == sequence.object_ids and "size" in entry
        steps = (len(sequence) - 1, 0)  # none where the masks were there
        return entry if whole and len(entry["step_ms"]) in steps else None
    except (DataError, KeyError, TypeError, ValueError):
        return None


def _evaluate_sequence(method, sequence: Sequence, folder: Path, device: str) -> dict:
    """Masks of one sequence into the folder; its frame scores and the time of each step."""
    if sequence.has_truth and sequence.appears is None and len(sequence) < 3:
        raise ConfigError(f"sequence {sequence.name} has {len(sequence)} frames; scoring needs at least 3")
    truths = ImageCache(HELD_MB)

    def truth(index: int) -> np.ndarray:
        return truths.get(sequence.mask_file(index), partial(sequence.annotation, index))

    for index in sequence.annotated:
        truth(index)  # a damaged one is told before any work
    masks, judged = inside(folder, "masks", sequence.name), judged_frames(sequence)
    size: list[int] = []
    step_ms: list[float] = []

    def predicted() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Writes every frame's mask and gives those to be scored."""
        for batch in _in_batches(_predict(method, sequence, device)):
            for index, mask, milliseconds in batch:
                replace_atomically(masks / f"{sequence.frames[index].stem}.png", partial(write_mask, mask=mask))
                step_ms.extend([] if milliseconds is None else [milliseconds])
            size[:] = batch[-1][1].shape
            yield from ((index, mask, truth(index)) for index, mask, _ in batch if index in judged)

    with torch.no_grad(), joined_norms():
        scores = score_frames(sequence.name, predicted(), sequence.object_ids, sequence.appears, extra_metrics())
    extra = {name: _to_json(values) for name, values in scores.extra.items()}
    return {
        "name": sequence.name,
        "object_ids": list(sequence.object_ids),
        "size": size,
        "step_ms": step_ms,
        "j": _to_json(scores.j),
        "f": _to_json(scores.f),
        **({"metrics": extra} if extra else {}),
    }


def _predict(method, sequence: Sequence, device: str) -> Iterator[Predicted]:
    """The mask of every frame, uint8 (H, W) object ids, and the milliseconds of its step, where there was one."""
    if isinstance(method, MaskFolder):
        unknown: set[int] = set()
        for mask in read_predictions(sequence, method.folder):
            unknown |= set(np.unique(mask).tolist()) - {0, *sequence.object_ids}
            yield mask, None
        if unknown:
            text = f"masks of {sequence.name} hold id {min(unknown)}, which is no object there"
            warnings.warn(f"{text}: it counts as background", stacklevel=2)
        return
    at = range(len(sequence))
    given = ((sequence.frame(t), sequence.given_mask(t) if t in sequence.given else None) for t in at)
    yield from follow(method, given, device, video=f"sequence {sequence.name}")


def _in_batches(found: Iterator[Predicted]) -> Iterator[list[tuple[int, np.ndarray, float | None]]]:
    """Lists of them with their numbers, of HELD_MB of masks each, the last of the rest."""
    batch: list[tuple[int, np.ndarray, float | None]] = []
    for index, (mask, milliseconds) in enumerate(found):
        if batch and (len(batch) + 1) * mask.nbytes > HELD_MB * 2**20:
            yield batch
            batch = []
        batch.append((index, mask, milliseconds))
    yield batch


def _to_json(values: np.ndarray) -> list[list[float | None]]:
    """JSON has no NaN: null where an object is not evaluated."""
    return [[None if math.isnan(value) else value for value in row] for row in values.tolist()]


def _scores(entry: dict) -> SequenceScores:
    ids = tuple(entry["object_ids"])
    found = {"j": entry["j"], "f": entry["f"], **entry.get("metrics", {})}
    values = {name: np.array(rows, dtype=float).reshape(-1, len(ids)) for name, rows in found.items()}
    return SequenceScores(entry["name"], ids, values.pop("j"), values.pop("f"), extra=values)
