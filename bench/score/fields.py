"""Scores as the fields of a record."""

import json
import math
from collections.abc import Sequence
from typing import Any

from bench.score.accuracy import FIGURES, SequenceScores
from bench.score.classes import SEEN_UNSEEN
from bench.score.metrics import METRICS


def score_fields(scores: Sequence[SequenceScores], content: dict[str, Any]) -> dict[str, Any]:
    """The record's fields of accuracy, in percent, from the figures of `summarize` and `seen_unseen` together.

    jf_mean is G where classes are known. What is None or no number is left out, as is all of a test set.
    """
    figures = {key: content[key] for key in FIGURES} | {k: content[k] for k in SEEN_UNSEEN if k in content}
    fields = {
        "jf_mean" if key == "g_mean" else key: 100 * value
        for key, value in figures.items()
        if value is not None and math.isfinite(value)
    }
    if content.get("metrics"):
        fields["metrics"] = json.dumps({name: _described(name, mean) for name, mean in content["metrics"].items()})
    judged = [one for one in scores if one.jf_mean() is not None]
    if not judged:
        return fields
    return fields | {
        "per_sequence": json.dumps({one.name: 100 * one.jf_mean() for one in judged}),
        "objects_per_sequence": json.dumps({one.name: len(one.per_object()) for one in judged}),
    }


def _described(name: str, mean: float) -> dict[str, Any]:
    """A further metric as the record's field `metrics` holds it: its mean and what its column looks like."""
    metric = METRICS[name]
    looks = {key: getattr(metric, key) for key in ("title", "digits", "unit", "better", "note")}
    return {"value": 100 * mean if metric.unit == "%" else mean, **looks}
