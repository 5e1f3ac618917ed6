"""Figures of single sequences: where two rows differ, and J and F along a video."""

import json

import numpy as np
import pytest

from reports.figures.differences import sequences_chart
from reports.figures.over_time import over_time_charts


@pytest.fixture
def row(make_cell):
    """A cell whose J&F differs from 50 by these numbers, one a sequence."""

    def make(label, changes, seed=0):
        scores = {f"s{i:02d}": 50 + change for i, change in enumerate(changes)}
        return make_cell(label, seed, 50, per_sequence=json.dumps(scores))

    return make


def bars(axis) -> list[float]:
    return [patch.get_width() for patch in axis.patches if patch.get_height() == 0.75]


def names(axis) -> list[str]:
    return [label.get_text() for label in axis.get_yticklabels()]


def test_sequences_are_sorted_by_the_difference_of_the_seeds_mean(row, saved, tmp_path):
    records = [
        *(row("first", [0, 0, 0], seed) for seed in (0, 1)),
        row("second", [3, -4, 1]),
        row("second", [5, -2, 0], seed=1),
    ]
    assert [path.name for path in sequences_chart(records, tmp_path)] == ["sequences.png", "sequences.pdf"]
    (axis,) = saved[0].axes
    assert bars(axis) == [-3, 0.5, 4]
    assert names(axis) == ["s01", "s02", "s00"]
    dots = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "."]
    assert dots == [[-4, 1, 3], [-2, 0, 5]]
    assert axis.get_xlabel() == "J&F of second − that of first"  # noqa: RUF001


def test_the_four_rows_that_differ_most_are_shown_in_their_order(row, saved, tmp_path):
    changes = {"a": 0, "b": 1, "c": -5, "d": 2, "e": 3, "f": -4}
    sequences_chart([row(name, [change, change]) for name, change in changes.items()], tmp_path)
    shown = [axis.get_xlabel().split()[2] for axis in saved[0].axes]
    assert shown == ["c", "d", "e", "f"]


def test_of_many_sequences_both_ends_are_shown(row, saved, tmp_path):
    sequences_chart([row("a", [0] * 100), row("b", range(-50, 50))], tmp_path)
    (axis,) = saved[0].axes
    assert bars(axis) == [*range(-50, -30), *range(30, 50)]
    assert "the 40 with the largest differences" in axis.get_title(loc="left")


def test_nothing_to_compare_has_no_bars(row, tmp_path):
    assert sequences_chart([row("only", [1, 2])], tmp_path) == []


@pytest.fixture
def judged(make_cell, tmp_path):
    """A cell with frame scores of the pictured sequence "bear": J and F of every frame and object."""

    def make(label, seed, j, f):
        folder = tmp_path / f"{label}-{seed}"
        folder.mkdir()
        (folder / "bear.json").write_text(json.dumps({"j": j, "f": f}))
        pictures = json.dumps({"bear": "nowhere"})
        return make_cell(label, seed, 50, pictures=pictures, frame_scores=str(folder))

    return make


def curves(axis) -> list[list[float]]:
    return [line.get_ydata().tolist() for line in axis.lines]


def test_lines_along_a_sequence_are_means_over_objects_and_seeds(judged, saved, tmp_path):
    records = [
        judged("a", 0, [[0.2, 0.4], [None, 0.5]], [[1, 1], [None, 0]]),
        judged("a", 1, [[0.4, 0.6], [None, 0.7]], [[1, 1], [None, 1]]),
        judged("b", 0, [[1, 1], [1, 1]], [[0, 0], [0, 0]]),
    ]
    paths = over_time_charts(records, tmp_path)
    assert [path.name for path in paths] == ["over_time_bear.png", "over_time_bear.pdf"]
    j, f = saved[0].axes
    np.testing.assert_allclose(curves(j), [[40, 60], [100, 100]])
    np.testing.assert_allclose(curves(f), [[100, 50], [0, 0]])
    band = j.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [30, 70])
    assert [text.get_text() for text in saved[0].legends[0].get_texts()] == ["a", "b"]


def test_missing_and_damaged_scores_are_left_out(judged, make_cell, saved, tmp_path):
    damaged = judged("damaged", 0, [], [])
    (tmp_path / "damaged-0" / "bear.json").write_text("{")
    gone = make_cell("gone", 0, 50, pictures=json.dumps({"bear": ""}), frame_scores=str(tmp_path / "no"))
    assert over_time_charts([damaged, gone], tmp_path) == []
    over_time_charts([damaged, gone, judged("whole", 0, [[0.5]], [[0.5]])], tmp_path)
    assert [text.get_text() for text in saved[0].legends[0].get_texts()] == ["whole"]
