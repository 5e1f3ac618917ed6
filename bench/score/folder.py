"""Scoring a folder of masks, `<sequence>/<frame>.png`, that any tool wrote. No torch: workers start quickly."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.score.accuracy import SequenceScores, score_frames
from bench.score.metric import Metric
from bench.score.metrics import extra_metrics
from bench.system.errors import ConfigError
from bench.system.progress import track
from bench.system.workers import fresh_processes, start_worker
from datasets.errors import DataError
from datasets.images import VOID, check_size, is_two_valued, merge_ids, read_ids
from datasets.sequence import Sequence, VideoSet

PROTOCOLS = ("ours", "official")


def _policy(*values: str, official: str) -> Any:
    """A field with the values of a policy, ours first, and that of davis2017-evaluation."""
    return field(default=values[0], metadata={"values": values, "ours": values[0], "official": official})


@dataclass(frozen=True)
class Protocol:
    """What counts, by default ours; docs/scoring.md gives the meaning of each policy."""

    void: str = _policy("ignore", "background", official="background")
    extra: str = _policy("ignore", "error", official="error")
    missing: str = _policy("error", "empty", official="error")
    objects: str = _policy("first", "up_to_largest", official="up_to_largest")
    decay: str = _policy("exact", "8bit", official="8bit")


@dataclass(frozen=True)
class Task:
    """A sequence and, by the index of each frame to evaluate, increasing, the predicted mask's file."""

    sequence: Sequence
    files: dict[int, Path]


@dataclass(frozen=True)
class Scored:
    """Scores of a sequence, its size (height, width), and the ids that some mask holds beside those evaluated.

    extra: (file, id) of each mask with such an id, the lowest.
    """

    scores: SequenceScores
    size: tuple[int, ...]
    extra: list[tuple[str, int]]


def choose_protocol(name: str, policy: dict[str, str | None]) -> Protocol:
    """The protocol `name` with the policies that are not None in place of its own; ConfigError if unknown."""
    if name not in PROTOCOLS:
        raise ConfigError(f"unknown protocol '{name}'; known: {', '.join(PROTOCOLS)}")
    chosen = {}
    for one in fields(Protocol):
        value = chosen[one.name] = policy.get(one.name) or one.metadata[name]
        if value not in one.metadata["values"]:
            raise ConfigError(f"policy.{one.name}={value}: choose one of {', '.join(one.metadata['values'])}")
    return Protocol(**chosen)


def find_tasks(videos: VideoSet, folder: Path, protocol: Protocol) -> list[Task]:
    """Pair every sequence that has a truth with its predictions, in `folder/<sequence>/<frame>.png`.

    Only frames that are evaluated need a file. Raises DataError for the first folder or file that is missing (a
    file may be, where `protocol.missing` is empty) and when no sequence has a truth.
    """
    tasks = []
    for sequence in videos.sequences:
        judged = judged_frames(sequence)
        if not judged:
            continue
        place = folder / sequence.name
        if not place.is_dir():
            raise DataError(f"no masks of sequence {sequence.name}: no folder {place} ({_there(folder)})")
        files = {i: place / f"{sequence.frames[i].stem}.png" for i in judged}
        missing = [file for file in files.values() if not file.is_file()]
        if missing and protocol.missing == "error":
            raise DataError(
                f"no mask {missing[0]} ({len(missing)} of {len(files)} judged ones are missing; {_there(place)}): "
                f"add it, or count missing masks as empty with policy.missing=empty"
            )
        tasks.append(Task(sequence, files))
    if not tasks:
        raise DataError(
            f"{videos.name} has no mask to compare with beside those that give the objects: nothing to score"
        )
    return tasks


def judged_frames(sequence: Sequence) -> tuple[int, ...]:
    """Indices of the frames that are evaluated; none where the truth is not known.

    DAVIS leaves out the first and the last frame, YouTube-VOS (`appears`) the first alone.
    """
    if not sequence.has_truth:
        return ()
    end = len(sequence) - (sequence.appears is None)
    return tuple(i for i in sequence.annotated if 0 < i < end)


def score_all(tasks: list[Task], protocol: Protocol, processes: int, label: str) -> list[Scored]:
    """Score the sequences in their order, `processes` at once; the numbers are the same for any number."""
    total = sum(len(task.files) for task in tasks)
    with track("score", label, total, "frames") as bar:
        done = []
        for task, scored in zip(tasks, _scored(tasks, protocol, min(processes, len(tasks))), strict=True):
            done.append(scored)
            bar.update(len(task.files))
    return done


def _scored(tasks: list[Task], protocol: Protocol, processes: int) -> Iterator[Scored]:
    score = partial(score_task, protocol=protocol, metrics=extra_metrics())  # sent to processes that know none
    if processes == 1:
        yield from map(score, tasks)
        return
    pool = ProcessPoolExecutor(processes, fresh_processes(__name__), start_worker)
    try:
        yield from pool.map(score, tasks)
    except BrokenProcessPool:
        raise ConfigError("a process of processes= was killed, probably for want of memory: use fewer") from None
    finally:
        pool.shutdown(cancel_futures=True)


def score_task(task: Task, protocol: Protocol, metrics: list[Metric]) -> Scored:
    """Score one sequence, by these metrics beside J and F; reads but its first mask and the evaluated frames.

    Raises DataError, naming the file, for a mask that cannot be read or has another size than its truth,
    and for an id that is not evaluated where `protocol.extra` is error.
    """
    # Have glibc keep the memory of a frame's masks for the next frame: a seventh of the time is asking again. It
    # hands back what is more than twice the largest block that it has got back so far; this block is large.
    bytearray(16 * 2**20)
    sequence = task.sequence
    ids = judged_ids(sequence, protocol)
    extra: list[tuple[str, int]] = []
    others = np.arange(256, dtype=np.uint8)  # a table that leaves the ids that are not evaluated
    others[list(ids)] = 0
    lowest_other = int(others[others > 0].min())

    def judged() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for index, prediction, truth in read_masks(task, ids):
            if prediction.max() >= lowest_other and (unknown := cv2.LUT(prediction, others)).any():
                file, found = str(task.files[index]), int(unknown[unknown > 0].min())
                if protocol.extra == "error":
                    raise DataError(
                        f"the mask {file} holds id {found}, which is no judged object of sequence {sequence.name} "
                        f"({', '.join(map(str, ids))}): correct it, or leave such ids out with policy.extra=ignore"
                    )
                extra.append((file, found))
            if protocol.void == "background":
                truth[truth == VOID] = 0
            yield index, prediction, truth

    scores = score_frames(sequence.name, judged(), ids, sequence.appears, metrics)
    scores = replace(scores, decay_in_8_bits=protocol.decay == "8bit")
    return Scored(scores, read_ids(sequence.mask_file(0)).shape, extra)


def judged_ids(sequence: Sequence, protocol: Protocol) -> tuple[int, ...]:
    """Ids of the objects that are evaluated, increasing: what `protocol.objects` says where none appears late."""
    ids = sequence.object_ids
    return ids if protocol.objects == "first" or sequence.appears is not None else tuple(range(1, max(ids) + 1))


def read_masks(task: Task, ids: tuple[int, ...]) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(index, prediction, truth) of every evaluated frame: uint8 (H, W) object ids, 255 in the truth is void.

    A predicted mask of 0 and 255 alone shows the object of a sequence that has one, and so does a true one
    where the first mask is of this kind. A file that is not there is an empty mask.
    """
    sequence = task.sequence
    renamed = ids if is_two_valued(read_ids(sequence.mask_file(0))) else ()
    for index, file in task.files.items():
        path = sequence.mask_file(index)
        truth = _named(read_ids(path), renamed, sequence.binary)
        yield index, _prediction(file, sequence, ids, path, truth.shape), truth


def read_predictions(sequence: Sequence, folder: Path) -> Iterator[np.ndarray]:
    """The given mask, then `folder/<sequence>/<frame>.png` of every frame, read as `read_masks` does."""
    first, ids, path = sequence.given_mask(0), sequence.object_ids, sequence.mask_file(0)
    yield first
    for frame in sequence.frames[1:]:
        yield _prediction(folder / sequence.name / f"{frame.stem}.png", sequence, ids, path, first.shape)


def _prediction(
    file: Path, sequence: Sequence, ids: tuple[int, ...], truth: Path, size: tuple[int, ...]
) -> np.ndarray:
    """A predicted mask, empty where there is no file; DataError when its size is not that of the truth."""
    if not file.is_file():
        return np.zeros(size, np.uint8)
    prediction = _named(read_ids(file), ids, sequence.binary)
    advice = "save predictions at the truth's size"
    check_size(f"the mask {file}", prediction.shape, f"the truth {truth}", size, advice)
    return prediction


def _named(mask: np.ndarray, ids: tuple[int, ...], binary: bool) -> np.ndarray:
    """A mask with 255 renamed to the only id there is, if that is all it holds, or with all ids merged into 1."""
    if len(ids) == 1 and is_two_valued(mask):
        return mask & ids[0]
    return merge_ids(mask) if binary else mask


def _there(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    shown = ", ".join(names if len(names) < 4 else [names[0], "...", names[-1]])
    return f"there: {shown}" if names else "it is empty"
