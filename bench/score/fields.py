"""Scores as the fields of a record; those of classes that the training data holds and of others apart."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.score.accuracy import FIGURES, SequenceScores
from bench.score.metrics import METRICS
from datasets.sequence import VideoSet

SEEN_UNSEEN = ("j_seen", "f_seen", "j_unseen", "f_unseen")


def score_fields(scores: Sequence[SequenceScores], content: dict[str, Any]) -> dict[str, Any]:
    """The record's fields of accuracy, in percent, from the figures of `summarize` and `seen_unseen` together.

    jf_mean is G where classes are known. What is None or no number is left out, as is all of a test set.
    """
    figures = {**content, "jf_mean": content.get("g_mean", content["jf_mean"])}
    known = {key: figures[key] for key in (*FIGURES, *SEEN_UNSEEN) if figures.get(key) is not None}
    fields: dict[str, Any] = {key: 100 * value for key, value in known.items() if math.isfinite(value)}
    if content.get("metrics"):
        fields["metrics"] = json.dumps({name: _described(name, mean) for name, mean in content["metrics"].items()})
    judged = {one.name: objects for one in scores if (objects := one.per_object())}
    if judged:
        means = {name: np.mean([one["jf_mean"] for one in objects.values()]) for name, objects in judged.items()}
        fields["per_sequence"] = json.dumps({name: 100 * float(mean) for name, mean in means.items()})
        fields["objects_per_sequence"] = json.dumps({name: len(objects) for name, objects in judged.items()})
    return fields


def seen_unseen(scores: Sequence[SequenceScores], videos: VideoSet) -> dict[str, float]:
    """j_seen, f_seen, j_unseen, f_unseen and g_mean, the mean of the four: fractions, as YouTube-VOS reports them.

    Each is the mean over objects of an object's mean over its evaluated frames. Objects whose class the set
    does not know are left out, and so are the two figures of a group without an evaluated object: g_mean is then
    the mean of the other two. Empty when no evaluated object has a known class.
    Source: Xu et al., YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark, arXiv 1809.03327.
    """
    classes = {sequence.name: sequence.categories for sequence in videos.sequences}
    groups: dict[str, list[dict[str, float]]] = {"seen": [], "unseen": []}
    for sequence in scores:
        for object_id, values in sequence.per_object().items():
            if (category := classes[sequence.name].get(object_id)) is not None:
                groups["unseen" if category in videos.unseen else "seen"].append(values)
    figures = {
        f"{measure}_{group}": float(np.mean([values[f"{measure}_mean"] for values in objects]))
        for group, objects in groups.items()
        if objects
        for measure in "jf"
    }
    return {**figures, "g_mean": float(np.mean(list(figures.values())))} if figures else {}


def _described(name: str, mean: float) -> dict[str, Any]:
    metric = METRICS[name]
    looks = {key: getattr(metric, key) for key in ("title", "digits", "unit", "better", "note")}
    return {"value": 100 * mean if metric.unit == "%" else mean, **looks}
