"""Gain against gap: which rows are drawn, and where."""

from dataclasses import replace

import pytest

from reports.figures.capacity import capacity_chart
from reports.figures.style import theme

TEACHERS = {"narrow": 60.0, "wide": 70.0}
STUDENTS = {"small": 50.0, "large": 58.0}


def study(make_cell, seeds: int) -> list:
    """Teachers of one seed; a student gains a tenth of the gap and its seed."""
    records = [replace(make_cell(f"{name} (teacher)", 0, score), network=name) for name, score in TEACHERS.items()]
    for seed in range(seeds):
        for student, alone in STUDENTS.items():
            records.append(make_cell(f"{student}, labels", seed, alone))
            for teacher, score in TEACHERS.items():
                cell = make_cell(f"{student} by {teacher}", seed, alone + (score - alone) / 10 + seed)
                records.append(replace(cell, teacher=teacher, reference=f"{student}, labels"))
    return records


def chart(records, folder):
    with theme():
        return capacity_chart.__wrapped__(records, folder)  # as it is before it is written


def points(axis) -> dict[tuple[float, float], str]:
    marked = [line for line in axis.lines if line.get_marker() not in ("None", None, "")]
    return {(round(float(x.get_xdata()[0]), 6), round(float(x.get_ydata()[0]), 6)): x.get_marker() for x in marked}


def test_gain_stands_against_gap_with_a_marker_a_student(make_cell, tmp_path):
    drawn = chart(study(make_cell, 3), tmp_path)
    (axis,) = drawn.axes
    found = points(axis)
    assert set(found) == {(10, 2), (20, 3), (2, 1.2), (12, 2.2)}  # a tenth, and the mean seed, 1
    assert found[10, 2] == found[20, 3] != found[2, 1.2] == found[12, 2.2]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == [
        "small, labels", "large, labels", "by narrow", "by wide",
    ]  # fmt: skip
    bars = [line for line in axis.lines if len(line.get_xdata()) == 2 and len(set(line.get_xdata())) == 1]
    # Of differences with a deviation of 1 over three seeds: 4.303 / sqrt(3) to either side.
    assert bars[0].get_ydata() == pytest.approx([2 - 2.484, 2 + 2.484], abs=1e-3)


def test_two_seeds_have_no_bars(make_cell, tmp_path):
    (axis,) = chart(study(make_cell, 2), tmp_path).axes
    assert len(points(axis)) == 4
    assert all(len(line.get_xdata()) == 1 or len(set(line.get_xdata())) > 1 for line in axis.lines)


def test_a_teacher_of_each_seed_counts_as_its_mean(make_cell, tmp_path):
    records = [r for r in study(make_cell, 2) if not r.label.endswith("(teacher)")]
    for seed in range(2):
        for name, score in TEACHERS.items():
            records.append(replace(make_cell(f"{name} (teacher)", seed, score + 2 * seed), network=f"{name}{seed}"))
    records = [replace(r, teacher=f"{r.teacher}{r.seed}") if r.teacher else r for r in records]
    (axis,) = chart(records, tmp_path).axes
    assert {x for x, _ in points(axis)} == {11, 21, 3, 13}


def test_without_several_students_or_teachers_there_is_nothing_to_see(make_cell, tmp_path):
    every = study(make_cell, 3)
    one = [r for r in every if r.label in ("narrow (teacher)", "small, labels", "small by narrow")]
    assert chart(one, tmp_path) is None
    assert chart([r for r in every if not r.label.endswith("(teacher)")], tmp_path) is None
    distilled = [replace(r, teacher="wide") if r.label.endswith("labels") else r for r in every]
    assert chart(distilled, tmp_path) is None  # students with a teacher each, as in ablation=aspp
