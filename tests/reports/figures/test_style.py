"""What the plots share: names that do not overlap, marks that differ, files that do not change."""

import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.optimize import minimize

from reports.figures.style import label_ends, log_if_wide, marks, readable, save, spread, theme


def test_names_with_room_stay_where_they_are():
    assert spread(np.array([0.7, 0.2]), np.array([0.1, 0.1])) == pytest.approx([0.7, 0.2])


def test_coinciding_names_make_room_to_both_sides_in_their_order():
    assert spread(np.full(3, 0.5), np.full(3, 0.1)) == pytest.approx([0.4, 0.5, 0.6])
    assert spread(np.array([0.5, 0.5]), np.array([0.1, 0.3])) == pytest.approx([0.4, 0.6])


def test_names_stay_inside_unless_there_are_too_many():
    assert spread(np.array([1.0, 0.99]), np.array([0.1, 0.1])) == pytest.approx([0.95, 0.85])
    assert spread(np.zeros(3), np.full(3, 0.5)) == pytest.approx([0.25, 0.75, 1.25])


def test_names_move_as_little_as_possible():
    rng = np.random.default_rng(0)
    for _ in range(5):
        wanted, sizes = np.sort(rng.uniform(0, 1, 6)), rng.uniform(0.05, 0.16, 6)
        apart = {"type": "ineq", "fun": lambda x, s=sizes: np.diff(x) - (s[1:] + s[:-1]) / 2}
        bounds = [(size / 2, 1 - size / 2) for size in sizes]
        found = minimize(
            lambda x, wanted=wanted: ((x - wanted) ** 2).sum(),
            np.linspace(0.2, 0.8, 6),
            bounds=bounds,
            constraints=apart,
            options={"ftol": 1e-14},
        )
        assert found.success
        assert spread(wanted, sizes) == pytest.approx(found.x, abs=1e-4)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_written_names_do_not_overlap_and_stand_at_their_lines(scale):
    figure = Figure(figsize=(5, 3), layout="constrained")
    axis = figure.subplots()
    axis.set(yscale=scale, ylim=(1, 1000))
    names = ["top", *(f"name {i}" for i in range(6)), "a name that is far too long to stand on one line"]
    label_ends(axis, [(name, 500 if name == "top" else 30 + i, "red") for i, name in enumerate(names)])
    figure.draw_without_rendering()
    assert [text.get_text().replace("\n", " ") for text in axis.texts] == names
    boxes = [Text.get_window_extent(text) for text in axis.texts]  # without the line that leads there
    top = boxes[0]
    boxes.sort(key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 for lower, upper in itertools.pairwise(boxes))
    assert max(box.x1 for box in boxes) <= figure.bbox.x1, "the panel makes room for them"
    assert (top.y0 + top.y1) / 2 == pytest.approx(axis.transData.transform((0, 500))[1], abs=3)


def test_no_names_are_no_problem():
    axis = Figure().subplots()
    label_ends(axis, [])
    assert not axis.texts


def test_marks_differ_also_for_many_rows():
    assert len(set(marks(60))) == 60
    assert len({marker for _, marker in marks(11)}) == 11
    assert len({colour for colour, _ in marks(9)}) == 9


def test_the_look_is_taken_back():
    before = dict(matplotlib.rcParams)
    with theme():
        assert matplotlib.rcParams["axes.grid"]
    assert dict(matplotlib.rcParams) == before


def test_the_same_figure_gives_the_same_bytes_without_dates_or_versions(tmp_path):
    contents = []
    for _ in range(2):
        with theme():
            figure = Figure()
            axis = figure.subplots()
            axis.plot([1, 10, 100], [1, 2, 3])
            axis.set_title("costs $5 to $6")
            assert log_if_wide(axis, "x", np.array([1, 10, 100]))
            paths = save(figure, tmp_path, "line")
        assert [path.name for path in paths] == ["line.png", "line.pdf"]
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    for content in contents[0]:
        assert not any(word in content for word in (b"Software", b"tIME", b"Date", b"Matplotlib v"))


def test_keys_are_read_as_words():
    assert readable("options.queue_length") == "queue length"
