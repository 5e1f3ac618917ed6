"""Scores apart for classes that the training data holds and classes it does not, as YouTube-VOS reports them.

Source: Xu et al., YouTube-VOS: A Large-Scale Video Object Segmentation Benchmark, arXiv 1809.03327.
"""

from collections.abc import Sequence

import numpy as np

from bench.score.accuracy import SequenceScores
from datasets.sequence import VideoSet

SEEN_UNSEEN = ("j_seen", "f_seen", "j_unseen", "f_unseen", "g_mean")


def seen_unseen(scores: Sequence[SequenceScores], videos: VideoSet) -> dict[str, float]:
    """j_seen, f_seen, j_unseen, f_unseen and g_mean, the mean of the four: fractions.

    Each is the mean over objects of an object's mean over its judged frames. Objects whose class the set
    does not know are left out, and so are the two figures of a group without a judged object: g_mean is then
    the mean of the other two. Empty when no judged object has a known class.
    """
    classes = {
        (sequence.name, object_id): category
        for sequence in videos.sequences
        for object_id, category in sequence.categories.items()
    }
    groups: dict[str, list[dict[str, float]]] = {"seen": [], "unseen": []}
    for sequence in scores:
        for object_id, values in sequence.per_object().items():
            category = classes.get((sequence.name, object_id))
            if category is not None:
                groups["unseen" if category in videos.unseen else "seen"].append(values)
    figures = {
        f"{measure}_{group}": float(np.mean([values[f"{measure}_mean"] for values in objects]))
        for group, objects in groups.items()
        if objects
        for measure in "jf"
    }
    return {**figures, "g_mean": float(np.mean(list(figures.values())))} if figures else {}
