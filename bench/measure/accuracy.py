"""J, F and J&F as the DAVIS benchmark defines them (semi-supervised protocol).

J, the region measure, is the intersection over union of two masks; F, the boundary measure, is in
`bench.measure.boundary`. Both are computed per frame and object, without the first frame (it is given)
and the last; averaged over the frames of an object; then over the objects of all sequences, so a
sequence counts as often as it has objects. The results equal those of the official
davis2017-evaluation, with two exceptions: see `decay` about long sequences, and ids that are predicted
but not asked for are ignored where the official code stops.

Source: Pont-Tuset et al., The 2017 DAVIS Challenge on Video Object Segmentation, arXiv 1704.00675.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest

import cv2
import numpy as np

from bench.measure.boundary import MAX_OBJECTS, boundary_scores, tolerance_radius


@dataclass(frozen=True, eq=False)
class SequenceScores:
    """Scores of one sequence. j, f: float64 (frames, objects) in [0, 1], scored frames only."""

    name: str
    object_ids: tuple[int, ...]
    j: np.ndarray
    f: np.ndarray

    def per_object(self) -> dict[int, dict[str, float]]:
        """For each object id: j_mean, j_recall, j_decay, f_mean, f_recall, f_decay, jf_mean (fractions)."""
        columns = {
            "j_mean": self.j.mean(axis=0),
            "j_recall": recall(self.j),
            "j_decay": decay(self.j),
            "f_mean": self.f.mean(axis=0),
            "f_recall": recall(self.f),
            "f_decay": decay(self.f),
        }
        columns["jf_mean"] = (columns["j_mean"] + columns["f_mean"]) / 2
        return {
            object_id: {key: float(column[i]) for key, column in columns.items()}
            for i, object_id in enumerate(self.object_ids)
        }


@dataclass(frozen=True)
class Summary:
    """Scores of a set of sequences: means over all objects, as fractions (decay may be negative).

    `per_object` maps "<sequence>_<object id>" to the same seven figures of that object.
    """

    j_mean: float
    j_recall: float
    j_decay: float
    f_mean: float
    f_recall: float
    f_decay: float
    jf_mean: float
    per_object: dict[str, dict[str, float]]

    def as_dict(self) -> dict:
        """Plain nested dict of floats, ready for JSON."""
        return asdict(self)


def frame_scores(
    prediction: np.ndarray, truth: np.ndarray, object_ids: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """J and F of one frame, for each object.

    prediction, truth: integer (H, W) object ids, 0 = background. object_ids: N ids, neither 0 nor 255.
    Returns two float64 (N,) in [0, 1]. An object that is in neither mask scores 1. Void (255) in the
    truth counts as background, as in the official code. Raises ValueError when the sizes differ.
    """
    if prediction.shape != truth.shape:
        raise ValueError(
            f"the prediction is {_size(prediction)} but the ground truth is {_size(truth)} (height x width): "
            f"save predictions at the ground truth's size"
        )
    box = _foreground_box(prediction, truth)
    prediction, truth, radius = prediction[box], truth[box], tolerance_radius(*truth.shape)
    j, f = np.ones(len(object_ids)), np.ones(len(object_ids))
    if prediction.size == 0:
        return j, f
    for first in range(0, len(object_ids), MAX_OBJECTS):
        ids = object_ids[first : first + MAX_OBJECTS]
        predicted, true = [prediction == i for i in ids], [truth == i for i in ids]
        j[first : first + len(ids)] = [_iou(p, t) for p, t in zip(predicted, true, strict=True)]
        f[first : first + len(ids)] = boundary_scores(predicted, true, radius)
    return j, f


def score_sequence(
    name: str,
    predictions: Iterable[np.ndarray],
    truths: Iterable[np.ndarray | None],
    object_ids: Sequence[int],
) -> SequenceScores:
    """Score a sequence from the masks of all its frames, in order; may be generators.

    predictions, truths: integer (H, W) as in `frame_scores`. The first and the last frame are left out,
    and so are frames whose truth is None (not annotated). Raises ValueError, naming the sequence, when
    there are fewer than 3 frames, no annotated one among those scored, not as many predictions as
    truths, or a prediction of another size than its truth.
    """
    end = object()
    scores, frames, waiting = [], 0, None
    for prediction, truth in zip_longest(predictions, truths, fillvalue=end):
        if prediction is end or truth is end:
            fewer, more = (
                ("predictions", "ground truth") if prediction is end else ("ground truth", "predictions")
            )
            raise ValueError(
                f"sequence {name}: {fewer} for only {frames} frames, {more} for more: give one per frame"
            )
        # A frame is scored when the next one arrives: only then is it known not to be the last.
        if frames >= 2 and waiting[1] is not None:
            try:
                scores.append(frame_scores(*waiting, object_ids))
            except ValueError as error:
                raise ValueError(f"sequence {name}, frame {frames - 1} (from 0): {error}") from None
        waiting = prediction, truth
        frames += 1
    if frames < 3:
        raise ValueError(
            f"sequence {name} has {frames} frame(s): at least 3 are needed, the first and last are not scored"
        )
    if not scores:
        raise ValueError(
            f"sequence {name} has no annotated frame between its first and last: nothing to score"
        )
    j, f = (np.stack(values) for values in zip(*scores, strict=True))
    return SequenceScores(name, tuple(object_ids), j, f)


def summarize(sequences: Sequence[SequenceScores]) -> Summary:
    """Average over the objects of all sequences.

    Raises ValueError when there is no object to score or when two sequences have the same name.
    """
    per_object: dict[str, dict[str, float]] = {}
    for sequence in sequences:
        for object_id, values in sequence.per_object().items():
            key = f"{sequence.name}_{object_id}"
            if key in per_object:
                raise ValueError(f"object {key} was scored twice: give each sequence a name of its own")
            per_object[key] = values
    if not per_object:
        raise ValueError("there is no object to score: give at least one sequence with an object")
    keys = next(iter(per_object.values()))
    means = {key: float(np.mean([values[key] for values in per_object.values()])) for key in keys}
    return Summary(**means, per_object=per_object)


def recall(values: np.ndarray) -> np.ndarray:
    """Share of frames that score above 0.5: (frames, objects) -> (objects,)."""
    return (values > 0.5).mean(axis=0)


def decay(values: np.ndarray) -> np.ndarray:
    """Mean of the first quarter of frames minus mean of the last: (frames, objects) -> (objects,).

    The quarters have the official edges, rounded and with the shared frame in both. The official code
    keeps the edges in 8 bits and so takes wrong frames when more than 256 are scored; this one is right.
    """
    edges = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    return values[: edges[1] + 1].mean(axis=0) - values[edges[3] :].mean(axis=0)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boolean masks; 1 if both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def _foreground_box(prediction: np.ndarray, truth: np.ndarray) -> tuple[slice, slice]:
    """Where either mask is not background, and one pixel around where there is room; may be empty.

    With the margin the boundaries are the same as in the whole image.
    """
    foreground = prediction | truth
    if foreground.dtype != np.uint8:
        foreground = (foreground != 0).view(np.uint8)
    x, y, width, height = cv2.boundingRect(foreground)
    if width == 0:
        return slice(0, 0), slice(0, 0)
    return slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)


def _size(mask: np.ndarray) -> str:
    return "x".join(map(str, mask.shape))
