"""The training curves: which losses have a panel, what a line goes through, and when there is none."""

import json

import numpy as np
import pytest

from reports.figures import write_figures
from reports.figures.convergence import convergence_chart, training_chart

STEPS = np.arange(0, 1000, 50)  # 20 points: the moving average spans one


@pytest.fixture
def curve(tmp_path):
    """Writes a training curve of these losses, a list of values each, and returns the name of its file."""

    def write(name: str, steps=STEPS, **losses) -> str:
        losses.setdefault("total", np.sum(list(losses.values()), axis=0))
        points = [
            {"step": int(step), "lr": 0.01, **{loss: float(values[i]) for loss, values in losses.items()}}
            for i, step in enumerate(steps)
        ]
        (tmp_path / name).write_text(json.dumps(points))
        return name

    return write


def falling(start: float, end: float, points: int = len(STEPS)) -> np.ndarray:
    return np.linspace(start, end, points)


def lines(axis) -> list[list[float]]:
    return [line.get_ydata().tolist() for line in axis.lines]


def labels(figure) -> list[str]:
    return [axis.get_ylabel() for axis in figure.axes]


def names(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_losses_that_several_rows_have_stand_beside_the_total_relative_to_their_start(
    make_cell, curve, saved, tmp_path
):
    inter = falling(1, 0.5)
    records = [
        make_cell("teacher", 0, 70),
        make_cell("DIST", 0, 50, curve=curve("dist", inter=inter)),
        make_cell("DIST + CKA", 0, 50, curve=curve("cka", inter=inter, attention=falling(0.5, 0.25))),
        make_cell("DIST + KL", 0, 50, curve=curve("kl", inter=inter, attention=falling(4, 3))),
        make_cell("PEFD", 0, 50, curve=curve("pefd", projector_ensemble=falling(2, 1))),
    ]
    written = convergence_chart(records, tmp_path)
    assert [path.name for path in written] == ["convergence.png", "convergence.pdf"]
    (figure,) = saved
    assert labels(figure) == ["inter loss / its start", "attention loss / its start", "total / its start"]
    inter_panel, attention, total = figure.axes
    assert lines(inter_panel) == [pytest.approx(inter)] * 3
    assert lines(attention) == [pytest.approx(falling(1, 0.5)), pytest.approx(falling(1, 0.75))]
    assert len(total.lines) == 4
    assert lines(total)[3] == pytest.approx(falling(1, 0.5))
    assert all(list(line.get_xdata()) == list(STEPS) for line in total.lines)
    assert names(figure) == ["DIST", "DIST + CKA", "DIST + KL", "PEFD"]
    looks = {(line.get_color(), line.get_marker()) for line in total.lines}
    assert len(looks) == 4


def test_a_line_is_the_mean_of_the_seeds_and_its_band_holds_them(make_cell, curve, saved, tmp_path):
    low, high = falling(1, 0.2), falling(3, 0.6)
    records = [make_cell("a", seed, 50, curve=curve(f"{seed}", hint=y)) for seed, y in enumerate((low, high))]
    convergence_chart(records, tmp_path)
    (axis,) = saved[0].axes
    assert labels(saved[0]) == ["total / its start"], "a loss of one row alone has no panel"
    assert lines(axis) == [pytest.approx((low + high) / 2 / 2)]
    band = axis.collections[0].get_paths()[0].vertices
    assert sorted(set(band[band[:, 0] == STEPS[-1], 1])) == pytest.approx([0.1, 0.3])
    assert "bands: lowest to highest seed" in saved[0].get_suptitle()


def test_curves_are_smoothed_over_a_twentieth_of_the_training(make_cell, curve, saved, tmp_path):
    steps = np.arange(200)
    noisy = np.random.default_rng(0).uniform(1, 2, 200)
    convergence_chart([make_cell("a", 0, 50, curve=curve("a", steps, hint=noisy))], tmp_path)
    (line,) = lines(saved[0].axes[0])
    assert line[100] == pytest.approx(noisy[95:105].mean() / noisy[:5].mean())
    assert saved[0].get_suptitle() == "lines: smoothed (moving average over 5 % of the training)"


def test_losses_that_do_not_begin_above_zero_are_shown_as_they_are(make_cell, curve, saved, tmp_path):
    records = [
        make_cell("a", 0, 50, curve=curve("a", itrd=falling(-1, -2))),
        make_cell("b", 0, 50, curve=curve("b", itrd=falling(4, 2))),
    ]
    convergence_chart(records, tmp_path)
    assert labels(saved[0]) == ["itrd loss", "total"]
    assert lines(saved[0].axes[0]) == [pytest.approx(falling(-1, -2)), pytest.approx(falling(4, 2))]


def test_losses_that_fall_far_have_a_logarithmic_scale(make_cell, curve, saved, tmp_path):
    convergence_chart([make_cell("a", 0, 50, curve=curve("a", hint=falling(1, 0.1)))], tmp_path)
    (axis,) = saved[0].axes
    assert (axis.get_yscale(), axis.get_ylabel()) == ("log", "total / its start\n(log scale)")


def test_a_resumed_training_counts_its_repeated_steps_once(make_cell, curve, saved, tmp_path):
    steps = [0, 10, 20, 10, 20, 30]
    name = curve("a", steps, hint=[4, 9, 9, 3, 2, 1])
    convergence_chart([make_cell("a", 0, 50, curve=name)], tmp_path)
    (line,) = saved[0].axes[0].lines
    assert line.get_xdata().tolist() == [0, 10, 20, 30]
    assert line.get_ydata().tolist() == [1, 0.75, 0.5, 0.25]


def test_seeds_are_averaged_at_the_steps_they_share(make_cell, curve, saved, tmp_path):
    records = [
        make_cell("a", 0, 50, curve=curve("0", [0, 10, 20], hint=[2, 2, 2])),
        make_cell("a", 1, 50, curve=curve("1", [0, 20, 30], hint=[2, 1, 1])),
    ]
    convergence_chart(records, tmp_path)
    (line,) = saved[0].axes[0].lines
    assert line.get_xdata().tolist() == [0, 20]
    assert line.get_ydata().tolist() == [1, 0.75]


def test_it_is_one_of_the_figures_of_a_report(make_cell, curve, saved, tmp_path):
    records = [make_cell("a", 0, 50, curve=curve("a", hint=falling(1, 0.5)))]
    assert tmp_path / "convergence.pdf" in write_figures(records, tmp_path)


def test_without_a_readable_curve_there_is_no_figure(make_cell, make_failed_cell, curve, tmp_path):
    for name, content in {"damaged": "{", "empty": "[]", "other": '[{"a": 1}]', "words": '[{"step": "x"}]'}.items():
        (tmp_path / name).write_text(content)
        assert convergence_chart([make_cell("a", 0, 50, curve=name)], tmp_path) == []
    assert convergence_chart([make_cell("a", 0, 50), make_cell("b", 0, 50, curve="gone")], tmp_path) == []
    stopped = make_cell("a", 0, 50, curve=curve("a", hint=falling(1, 0)), status="interrupted")
    assert convergence_chart([stopped, make_failed_cell("b", 0, "failed")], tmp_path) == []


def test_many_long_names_stay_inside_the_figure(make_cell, curve, tmp_path, saved):
    name = curve("a", hint=falling(1, 0.5))
    records = [make_cell(f"write_rule=first+last, queue_length={i}", 0, 50, curve=name) for i in range(12)]
    convergence_chart(records, tmp_path)
    (figure,) = saved
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0 < legend.x1 <= figure.bbox.x1
    assert legend.y1 <= min(axis.get_tightbbox().y0 for axis in figure.axes)
    assert all(axis.get_window_extent().height > figure.dpi for axis in figure.axes), "room for the lines"


def test_a_training_is_shown_as_it_was_with_every_loss_and_its_learning_rate(make_cell, curve, saved, tmp_path):
    inter, ensemble = falling(1, 0.5), falling(2, 1)
    records = [
        make_cell("teacher", 0, 70),
        make_cell("DIST", 0, 50, curve=curve("dist", inter=inter)),
        make_cell("PEFD", 0, 50, curve=curve("pefd", projector_ensemble=ensemble)),
    ]
    assert [path.name for path in training_chart(records, tmp_path)] == ["training.png", "training.pdf"]
    (figure,) = saved
    assert labels(figure) == ["inter loss", "projector ensemble loss", "total", "learning rate"]
    shown = [lines(axis) for axis in figure.axes]
    assert shown[0] == [pytest.approx(inter)]
    assert shown[1] == [pytest.approx(ensemble)]
    assert shown[3] == [pytest.approx([0.01] * len(STEPS))] * 2
    assert training_chart(records[:1], tmp_path) == []
