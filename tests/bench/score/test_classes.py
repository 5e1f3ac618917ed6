"""Seen and unseen classes, computed by hand."""

from pathlib import Path

import numpy as np
import pytest

from bench.score.accuracy import SequenceScores, score_frames
from bench.score.fields import seen_unseen
from datasets.sequence import Sequence, VideoSet

NAN = np.nan


def video_set(*categories: dict[int, str]) -> VideoSet:
    """Sequences v0, v1, ... with these classes; zebras are unseen."""
    file = (Path("0.png"),)
    sequences = [
        Sequence(f"v{n}", file, file, appears=dict.fromkeys(c, 0) or None, categories=c)
        for n, c in enumerate(categories)
    ]
    return VideoSet("set", tuple(sequences), frozenset({"zebra"}))


def scores(name: str, ids: tuple[int, ...], j, f) -> SequenceScores:
    return SequenceScores(name, ids, np.array(j, float), np.array(f, float))


def test_every_object_counts_once_in_the_group_of_its_class():
    videos = video_set({1: "dog", 4: "zebra"}, {2: "dog"})
    result = seen_unseen(
        [
            scores("v0", (1, 4), j=[[0.8, NAN], [0.4, 0.3]], f=[[1.0, NAN], [0.5, 0.1]]),
            scores("v1", (2,), j=[[0.2]] * 5, f=[[0.4]] * 5),
        ],
        videos,
    )
    assert result == pytest.approx(
        {
            "j_seen": (0.6 + 0.2) / 2,
            "f_seen": (0.75 + 0.4) / 2,
            "j_unseen": 0.3,
            "f_unseen": 0.1,
            "g_mean": (0.4 + 0.575 + 0.3 + 0.1) / 4,
        }
    )


def test_a_group_without_objects_is_left_out():
    result = seen_unseen([scores("v0", (1,), [[0.5]], [[0.7]])], video_set({1: "dog"}))
    assert result == pytest.approx({"j_seen": 0.5, "f_seen": 0.7, "g_mean": 0.6})


def test_without_classes_or_without_truth_there_is_nothing_to_tell_apart():
    assert seen_unseen([scores("v0", (1,), [[0.5]], [[0.7]])], video_set({})) == {}
    assert seen_unseen([scores("v0", (1,), np.empty((0, 1)), np.empty((0, 1)))], video_set({1: "dog"})) == {}


def test_an_object_that_only_the_last_frame_gives_is_never_judged():
    mask = np.ones((8, 8), np.uint8)
    result = score_frames("v0", [(t, mask, mask) for t in range(3)], (1, 2), appears={1: 0, 2: 2})
    np.testing.assert_array_equal(result.j, [[1, NAN], [1, NAN]])
    assert list(result.per_object()) == [1]
