"""J, F and J&F as the DAVIS benchmark defines them (semi-supervised protocol).

J, the region measure, and F, the boundary measure, are in `bench.score.metrics`. Both are computed per frame and
object, without the first frame (it is given) and the last; averaged over the frames of an object; then over the
objects of all sequences, so a sequence counts as often as it has objects. The results equal those of the official
davis2017-evaluation, with three exceptions: see `decay` about long sequences and `frame_scores` about void, and ids
that are predicted but not asked for are ignored where the official code stops. `bench.score.folder` can follow it
in these, too.

YouTube-VOS differs in two ways: an object counts from the frame after the one that gives it, and the last
frame counts too (see `score_frames` and `bench.score.folder.judged_frames`).

Sources: Pont-Tuset et al., The 2017 DAVIS Challenge on Video Object Segmentation, arXiv 1704.00675;
Xu et al., YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark, arXiv 1809.03327.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from bench.score.metric import Metric
from bench.score.metrics.boundary import boundary, tolerance_radius
from bench.score.metrics.region import region
from bench.system.errors import ConfigError
from datasets.images import VOID, check_size

FIGURES = ("j_mean", "j_recall", "j_decay", "f_mean", "f_recall", "f_decay", "jf_mean")


@dataclass(frozen=True, eq=False)
class SequenceScores:
    """Scores of one sequence.

    j, f: float64 (frames, objects) in [0, 1], scored frames only: none where the truth is not known. NaN
    where an object is not evaluated in a frame that has others. decay_in_8_bits: see the function of that name.
    extra: the same of each further metric, by its name, in its own unit.
    """

    name: str
    object_ids: tuple[int, ...]
    j: np.ndarray
    f: np.ndarray
    decay_in_8_bits: bool = False
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)

    def per_object(self) -> dict[int, dict[str, float]]:
        """For each object id: j_mean, j_recall, j_decay, f_mean, f_recall, f_decay, jf_mean (fractions), and
        the mean of each further metric.

        Over the frames in which the object is evaluated; one that never is has no entry.
        """
        judged = ~np.isnan(self.j)
        statistics = {"mean": _mean, "recall": recall, "decay": decay_in_8_bits if self.decay_in_8_bits else decay}
        columns = {
            f"{name}_{key}": _over_frames(statistic, values, judged)
            for name, values in (("j", self.j), ("f", self.f))
            for key, statistic in statistics.items()
        }
        columns["jf_mean"] = (columns["j_mean"] + columns["f_mean"]) / 2
        columns |= {name: _over_frames(_mean, values, judged) for name, values in self.extra.items()}
        ever = np.flatnonzero(judged.any(axis=0))
        return {self.object_ids[i]: {key: float(column[i]) for key, column in columns.items()} for i in ever}


def frame_scores(
    prediction: np.ndarray, truth: np.ndarray, object_ids: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """J and F of one frame, for each object.

    prediction, truth: integer (H, W) object ids, 0 = background. object_ids: N ids, neither 0 nor 255.
    Returns two float64 (N,) in [0, 1]. An object that is in neither mask scores 1. Void (255) in the truth is
    left out of both masks: nobody knows what is there, so no prediction is wrong there. (The official code does so
    in its unsupervised task and takes void as background in this one.) Raises ValueError when the sizes differ.
    """
    advice = "save predictions at the ground truth's size"
    check_size("the prediction", prediction.shape, "the ground truth", truth.shape, advice)
    radius = tolerance_radius(*truth.shape)
    box = _foreground_box(prediction, truth)
    prediction, truth = prediction[box], truth[box]
    if prediction.size == 0:
        return np.ones(len(object_ids)), np.ones(len(object_ids))
    prediction = _without_void(prediction, truth)
    return region(prediction, truth, object_ids), boundary(prediction, truth, object_ids, radius)


def score_frames(
    name: str,
    frames: Iterable[tuple[int, np.ndarray, np.ndarray]],
    object_ids: Sequence[int],
    appears: Mapping[int, int] | None = None,
    metrics: Sequence[Metric] = (),
) -> SequenceScores:
    """Scores of the frames that are handed in: (index, prediction, truth), in order; may be a generator.

    Masks: integer (H, W) as in `frame_scores`. `appears` takes an object id to the index of the frame that gives
    it; 0 for each without it. An object is evaluated in the frames after that one; frames without any are left
    out. metrics: those beside J and F. Raises ValueError, naming sequence and frame, for a prediction of another
    size than its truth, and ConfigError for a metric that gives anything but a finite number for each object.
    """
    given_at = [0 if appears is None else appears[i] for i in object_ids]
    rows = []
    for index, prediction, truth in frames:
        judged = [i for i, start in enumerate(given_at) if start < index]
        if not judged:
            continue
        row = np.full((2 + len(metrics), len(given_at)), np.nan)
        ids = [object_ids[i] for i in judged]
        try:
            row[:2, judged] = frame_scores(prediction, truth, ids)
        except ValueError as error:
            raise ValueError(f"sequence {name}, frame {index} (from 0): {error}") from None
        if metrics:
            masks = _without_void(prediction, truth), _without_void(truth, truth)
            row[2:, judged] = [_measured(metric, *masks, ids) for metric in metrics]
        rows.append(row)
    j, f, *others = np.array(rows).reshape(-1, 2 + len(metrics), len(given_at)).swapaxes(0, 1)
    extra = {metric.name: values for metric, values in zip(metrics, others, strict=True)}
    return SequenceScores(name, tuple(object_ids), j, f, extra=extra)


def summarize(sequences: Sequence[SequenceScores]) -> dict[str, Any]:
    """Scores of a set of sequences, ready for JSON: FIGURES, means over all objects, fractions (decay may be < 0).

    `per_object` maps "<sequence>_<object id>" to the same figures of that object; `metrics`, only where there are
    some, the name of each further metric to its mean, in its own unit. Where no object is evaluated `per_object` is
    empty and the means are None. Raises ValueError when there is no sequence at all or two have the same name.
    """
    if not sequences:
        raise ValueError("there is no object to score: give at least one sequence with an object")
    per_object: dict[str, dict[str, float]] = {}
    for sequence in sequences:
        for object_id, values in sequence.per_object().items():
            key = f"{sequence.name}_{object_id}"
            if key in per_object:
                raise ValueError(f"object {key} was scored twice: give each sequence a name of its own")
            per_object[key] = values
    objects = list(per_object.values())
    means = {key: float(np.mean([one[key] for one in objects])) for key in (objects[0] if objects else ())}
    figures = {key: means.pop(key, None) for key in FIGURES}
    return {**figures, "per_object": per_object, **({"metrics": means} if means else {})}


def recall(values: np.ndarray) -> np.ndarray:
    """Share of frames that score above 0.5: (frames, objects) -> (objects,)."""
    return (values > 0.5).mean(axis=0)


def decay(values: np.ndarray) -> np.ndarray:
    """Mean of the first quarter of frames minus mean of the last: (frames, objects) -> (objects,).

    The quarters have the official edges, rounded and with the shared frame in both. The official code
    keeps the edges in 8 bits and so takes wrong frames when more than 256 are scored; this one is right.
    """
    edges = _quarters(len(values))
    return values[: edges[1] + 1].mean(axis=0) - values[edges[3] :].mean(axis=0)


def decay_in_8_bits(values: np.ndarray) -> np.ndarray:
    """The decay that davis2017-evaluation prints, with its error: (frames, objects) -> (objects,).

    It keeps the quarters' edges, and their ends, in 8 bits. Up to 255 frames this is `decay`; above, the
    edges start again at 0, so other frames are taken, or none: NaN (with NumPy 2, as for 256 frames).
    """
    edges = _quarters(len(values))
    quarters = (values[edges[k] % 256 : (edges[k + 1] + 1) % 256] for k in (0, 3))
    first, last = (q.mean(axis=0) if len(q) else np.full(values.shape[1], np.nan) for q in quarters)
    return first - last


def _quarters(frames: int) -> np.ndarray:
    """The five edges of four quarters: indices of frames, int (5,)."""
    return np.round(np.linspace(1, frames, 5) + 1e-10).astype(int) - 1


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=0)


def _over_frames(
    statistic: Callable[[np.ndarray], np.ndarray], values: np.ndarray, judged: np.ndarray
) -> np.ndarray:
    """A (frames, objects) -> (objects,) statistic of each object's evaluated frames; NaN where there are none."""
    if len(values) and judged.all():
        return statistic(values)
    columns = zip(values.T, judged.T, strict=True)
    return np.array([statistic(v[keep, None])[0] if keep.any() else np.nan for v, keep in columns])


def _without_void(mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """A mask that is background where nobody knows what is there."""
    return np.where(truth == VOID, 0, mask) if truth.max() == VOID else mask


def _measured(metric: Metric, prediction: np.ndarray, truth: np.ndarray, object_ids: Sequence[int]) -> np.ndarray:
    found = np.asarray(metric.of_frame(prediction, truth, object_ids), float)
    if found.shape != (len(object_ids),) or not np.isfinite(found).all():
        raise ConfigError(
            f"the metric '{metric.name}' gave {found.tolist()} for {len(object_ids)} object(s): one finite number "
            f"for each is due"
        )
    return found


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
