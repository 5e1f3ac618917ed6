"""The plots of records: what is drawn, and when there is nothing to draw."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from bench.record import to_jsonl
from reports.__main__ import main
from reports.figures import write_figures
from reports.figures.accuracy import accuracy_chart
from reports.figures.costs import costs_chart, footprint_chart, pareto
from reports.figures.curves import queue_chart, sweep_chart
from reports.figures.differences import difference_chart
from reports.figures.growth import growth_chart
from reports.statistics import interval, paired_difference

OMEGA = "recipe.representation.omega"
LENGTHS = [1, 10, 100]


@pytest.fixture
def varied_cell(make_cell):
    """A cell of a row that is set apart by these config keys."""
    return lambda varied, seed, score, **fields: make_cell(
        json.dumps(varied), seed, score, varied=json.dumps(varied), **fields
    )


@pytest.fixture
def sweep(make_cell, varied_cell):
    baselines = [make_cell("copy", 0, 30, method="copy_first_mask", train_steps=0), make_cell("teacher", 0, 70)]
    return baselines + [
        varied_cell({OMEGA: omega}, seed, 50 + 8 * omega + 2 * seed)
        for omega in (1, 0, 0.5)  # not in order
        for seed in (0, 1)
    ]


def growth(latency, memory) -> str:
    return json.dumps({"video_frames": LENGTHS, "latency_ms": latency, "memory_mb_peak": memory})


def texts(axis) -> list[str]:
    return [text.get_text() for text in axis.texts]


def ticks(axis) -> list[str]:
    return [label.get_text() for label in axis.get_xticklabels()]


def curve(axis, index=0) -> tuple[list[float], list[float]]:
    """x and y of a panel's solid lines of means."""
    lines = [line for line in axis.lines if line.get_linestyle() == "-" and line.get_linewidth() == 1.8]
    return lines[index].get_xdata().tolist(), lines[index].get_ydata().tolist()


def levels(axis) -> dict[float, str]:
    """Line styles of the panel's horizontal lines by their y."""
    return {line.get_ydata()[0]: line.get_linestyle() for line in axis.lines if list(line.get_xdata()) == [0, 1]}


def test_a_sweep_goes_through_the_means_in_order(sweep, saved, tmp_path):
    assert [path.name for path in sweep_chart(sweep, tmp_path)] == ["sweep.png", "sweep.pdf"]
    (axis,) = saved[0].axes
    assert curve(axis) == ([0, 0.5, 1], [51, 55, 59])
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("omega", "J&F (%)")
    assert ticks(axis) == ["0", "0.5", "1"]
    seeds = [line.get_ydata() for line in axis.lines if line.get_marker() == "."]
    assert sorted(np.ravel(seeds)) == [50, 52, 54, 56, 58, 60]


def test_a_sweep_shows_baselines_as_levels_and_the_interval_as_a_band(sweep, saved, tmp_path):
    sweep_chart(sweep, tmp_path)
    (axis,) = saved[0].axes
    assert levels(axis) == {30: ":", 70: "--"}
    assert texts(axis) == ["copy", "teacher"]
    band = axis.collections[0].get_paths()[0].vertices
    low, high = interval([record for record in sweep if record.varied == json.dumps({OMEGA: 0.5})])
    assert sorted(set(band[band[:, 0] == 0.5, 1])) == pytest.approx([low, high])


def test_the_unbounded_stands_last_and_other_keys_make_lines(varied_cell, saved, tmp_path):
    records = [
        varied_cell({"options.queue_length": length, "options.write_rule": rule}, 0, score)
        for rule, lengths in {"last": (1, 2, 4), "first": (2, 16, None)}.items()
        for score, length in enumerate(lengths, start=40)
    ]
    sweep_chart(records, tmp_path)
    (axis,) = saved[0].axes
    assert ticks(axis) == ["1", "2", "4", "16", "unbounded"]
    assert axis.get_xlabel() == "queue length (log scale)"
    assert texts(axis) == ["write rule: last", "write rule: first"]
    assert curve(axis, 0) == (pytest.approx([0, 0.25, 0.5]), [40, 41, 42])  # 16 = 2^4 stands at 1
    assert curve(axis, 1) == (pytest.approx([0.25, 1]), [40, 41])
    assert axis.get_xticks()[-1] > 1.1


def test_numbers_that_crowd_on_every_scale_are_evenly_spaced(varied_cell, saved, tmp_path):
    records = [varied_cell({OMEGA: omega}, 0, 50) for omega in (0, 0.001, 1)]
    sweep_chart(records, tmp_path)
    (axis,) = saved[0].axes
    assert list(axis.get_xticks()) == [0, 0.5, 1]
    assert axis.get_xlabel() == "omega (evenly spaced)"


@pytest.mark.parametrize(
    "rows",
    [
        [{OMEGA: 0}, {OMEGA: 1}],
        [{OMEGA: value} for value in ("a", "b", "c")],
        [{OMEGA: value} for value in (True, False, 2)],
        [{OMEGA: i, "other.key": 2 * i} for i in range(3)],
        [{}, {}, {}],
    ],
    ids=["two values", "words", "switches", "two keys", "nothing varied"],
)
def test_what_is_no_sweep_over_one_number_has_no_curve(rows, varied_cell, tmp_path):
    assert sweep_chart([varied_cell(row, 0, 50) for row in rows], tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_growth_has_a_line_per_label_and_panels_for_what_was_measured(make_cell, saved, tmp_path):
    bounded = growth([100, 110, 110], [200, 210, 210])
    records = [
        *(make_cell("bounded", seed, 50, growth_full=bounded) for seed in (0, 1)),
        make_cell("unbounded", 0, 50, growth_full=growth([100, 200, 1200], [200, 300, 1300])),
        make_cell("not measured", 0, 50),
    ]
    assert [path.name for path in growth_chart(records, tmp_path)] == ["growth.png", "growth.pdf"]
    latency, memory = saved[0].axes
    assert [line.get_ydata().tolist() for line in latency.lines] == [[100, 110, 110], [100, 200, 1200]]
    assert [line.get_ydata().tolist() for line in memory.lines] == [[200, 210, 210], [200, 300, 1300]]
    assert all(line.get_xdata().tolist() == LENGTHS for line in latency.lines)
    assert [axis.get_xscale() for axis in saved[0].axes] == ["log", "log"]
    assert [axis.get_yscale() for axis in saved[0].axes] == ["log", "linear"], "12 times, 6.5 times"
    assert texts(latency) == texts(memory) == ["bounded", "unbounded"]

    only_latency = [make_cell("a", 0, 50, growth_full=growth([1, 2, 3], [None] * 3))]
    growth_chart(only_latency, tmp_path)
    assert [axis.get_ylabel() for axis in saved[1].axes] == ["latency of a frame (ms)"]


def test_rows_with_one_measurement_share_a_line(make_cell, saved, tmp_path):
    same = growth([1, 2, 3], [1, 2, 3])
    growth_chart([make_cell(name, 0, 50, growth_full=same) for name in "abc"], tmp_path)
    assert [texts(axis) for axis in saved[0].axes] == [["a and 2 more"]] * 2


def queue_cells(varied_cell, costs) -> list:
    """A row for each queue length (None: unbounded) with these fields of costs."""
    return [
        varied_cell({"options.queue_length": length}, 0, 50 + place, **fields)
        for place, (length, fields) in enumerate(costs.items())
    ]


def test_a_queue_shows_accuracy_and_costs_at_the_end_of_the_longest_video(varied_cell, saved, tmp_path):
    records = queue_cells(
        varied_cell,
        {2: {"growth_full": growth([1, 2, 3], [4, 5, 6])}, None: {"growth_full": growth([1, 2, 9], [4, 5, 60])}},
    )
    assert [path.name for path in queue_chart(records, tmp_path)] == ["queue.png", "queue.pdf"]
    score, latency, memory = saved[0].axes
    assert [axis.get_ylabel() for axis in saved[0].axes] == [
        "J&F (%)",
        "latency of a frame (ms)",
        "peak memory (MiB)",
    ]
    assert [ticks(axis) for axis in saved[0].axes] == [["2", "unbounded"]] * 3
    assert [axis.lines[0].get_ydata().tolist() for axis in (score, latency, memory)] == [[50, 51], [3, 9], [6, 60]]
    assert "at the end of 100 frames" in latency.get_title(loc="left")


def test_a_queue_whose_growth_was_not_measured_shows_the_usual_latency(varied_cell, saved, tmp_path):
    costs = {length: {"latency_ms_median_full": 100.0 * length} for length in (1, 2, 4)}
    queue_chart(queue_cells(varied_cell, costs), tmp_path)
    _, latency = saved[0].axes
    assert latency.lines[0].get_ydata().tolist() == [100, 200, 400]


def test_a_sweep_of_something_else_is_no_queue(sweep, tmp_path):
    assert queue_chart(sweep, tmp_path) == []


def test_accuracy_shows_seeds_means_and_intervals(records, make_failed_cell, saved, tmp_path):
    accuracy_chart([*records, make_failed_cell("broken", 0, "killed")], tmp_path)
    axis = saved[0].axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()][-2:] == ["omega=1 & soft", "broken"]
    assert texts(axis) == ["no result"]
    near_boundary = [line.get_xdata() for line in axis.lines if np.mean(line.get_ydata()) == 2]
    low, high = interval([record for record in records if record.label == "near_boundary"])
    assert [sorted(x) for x in near_boundary] == [pytest.approx([low, high]), [55, 55], [54, 56]]


def points(axis) -> list[tuple[float, float]]:
    """The marks of a panel, not its lines."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() not in ("None", "")
    ]


def test_accuracy_is_set_against_the_costs_that_differ(records, make_cell, saved, tmp_path):
    assert [path.name for path in costs_chart(records, tmp_path)] == ["costs.png", "costs.pdf"]
    parameters, gmacs = saved[0].axes  # all have one latency
    assert (gmacs.get_xlabel(), parameters.get_xlabel()) == ("GMACs", "parameters (M)")
    assert points(gmacs)[:2] == [(180, 71.25), (20, 50.5)]
    assert saved[0].legends[0].get_texts()[0].get_text() == "teacher"
    assert costs_chart(records[1:], tmp_path) == costs_chart([make_cell("one", 0, 50)], tmp_path) == []


def test_the_pareto_front_holds_what_nothing_beats_in_both():
    costs, scores = np.array([3, 1, 2, 2, 4, 1]), np.array([50, 40, 39, 45, 50, 40])
    assert pareto(costs, scores).tolist() == [1, 3, 0]
    rng = np.random.default_rng(0)
    costs, scores = rng.integers(0, 20, (2, 60))
    better = (costs <= costs[:, None]) & (scores >= scores[:, None])
    better &= (costs < costs[:, None]) | (scores > scores[:, None])
    unbeaten = set(zip(costs[~better.any(axis=1)].tolist(), scores[~better.any(axis=1)].tolist(), strict=True))
    front = pareto(costs, scores)
    assert set(zip(costs[front].tolist(), scores[front].tolist(), strict=True)) == unbeaten
    assert (np.diff(costs[front]) > 0).all() and (np.diff(scores[front]) > 0).all()


def test_accuracy_is_set_against_the_memory_footprint_where_it_differs(records, saved, tmp_path):
    assert footprint_chart(records, tmp_path) == [], "not measured"
    alike = [replace(record, memory_mb_peak_full=200.0) for record in records]
    assert footprint_chart(alike, tmp_path) == []

    alike[0] = replace(alike[0], memory_mb_peak_full=1700.0)
    assert [path.name for path in footprint_chart(alike, tmp_path)] == ["footprint.png", "footprint.pdf"]
    (axis,) = saved[0].axes
    assert points(axis) == [(1700, 71.25), (200, 50.5), (200, 55), (200, 50.5)]
    assert [text.get_text() for text in saved[0].legends[0].get_texts()][:2] == ["teacher", "plain"]
    assert (axis.get_xlabel(), axis.get_xscale()) == ("peak memory (MB)", "log"), "8.5 times"

    unscored = [replace(record, jf_mean=None) for record in alike[:1]] + alike[1:]
    assert footprint_chart(unscored, tmp_path) == [], "the rows that are left do not differ"


def test_many_long_names_stay_inside_the_figure(make_cell, saved, tmp_path):
    rows = [(f"write_rule=first+last, queue_length={n}", 100.0 + n) for n in range(18)]
    footprint_chart([make_cell(name, 0, 50, memory_mb_peak_full=mib) for name, mib in rows], tmp_path)
    (figure,) = saved
    figure.draw_without_rendering()
    (axis,) = figure.axes
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.y0 <= legend.y0 < legend.y1 <= figure.bbox.y1
    assert axis.get_window_extent().height > legend.height / 2


def test_differences_show_sequences_and_what_is_not_significant(make_cell, saved, tmp_path):
    def row(label, changes):
        scores = {f"s{i}": 50 + change for i, change in enumerate(changes)}
        return [make_cell(label, seed, 50, per_sequence=json.dumps(scores)) for seed in range(3)]

    records = [
        *row("first", [0, 0, 0]),
        *row("better", [2.8, 3, 3.2]),
        *row("as good", [-5, 0, 5]),
        *row("worse", [-1.8, -2, -2.2]),
    ]
    difference_chart(records, tmp_path)
    (axis,) = saved[0].axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["better", "as good", "worse"]
    assert axis.get_xlabel() == "difference in J&F to first"
    dots = [line.get_xdata() for line in axis.lines if line.get_marker() == "."]
    assert [sorted(x) for x in dots] == [
        pytest.approx(values) for values in ([2.8, 3, 3.2], [-5, 0, 5], [-2.2, -2, -1.8])
    ]
    colours = [line.get_color() for line in axis.lines if line.get_marker() == "D"]
    assert len(set(colours)) == 3
    found = paired_difference(records[3:6], records[:3])
    assert texts(axis)[0] == f"+3.0 [{found.two_way_low:+.1f}, {found.two_way_high:+.1f}]"
    assert texts(axis)[2].startswith("−2.0 [−")  # noqa: RUF001


def test_a_single_pair_has_a_difference_without_an_interval(make_cell, saved, tmp_path):
    records = [
        make_cell(name, 0, 50, per_sequence=json.dumps({"s": score})) for name, score in (("a", 1), ("b", 3))
    ]
    difference_chart(records, tmp_path)
    assert texts(saved[0].axes[0]) == ["+2.0"]


def test_cells_without_results_break_nothing(sweep, make_failed_cell, tmp_path):
    failed = [
        replace(make_failed_cell(f"omega={omega}", 0, status), varied=json.dumps({OMEGA: omega}))
        for omega, status in ((2, "failed: killed"), (3, "interrupted"), (0.5, "failed: out of memory"))
    ]
    assert write_figures(failed, tmp_path) == []
    assert not list(tmp_path.iterdir())
    names = {path.name for path in write_figures([*failed, *sweep], tmp_path)}
    kinds = ("png", "pdf")
    figures = ("accuracy", "differences", "sequences", "sweep")
    assert names == {f"{name}.{kind}" for name in figures for kind in kinds} | {"figures.md"}
    assert all((tmp_path / name).stat().st_size > 1000 for name in names - {"figures.md"})


def test_scores_without_sequences_have_no_interval_but_a_curve(varied_cell, saved, tmp_path):
    records = [varied_cell({OMEGA: omega}, 0, 50, per_sequence="") for omega in (0, 1, 2)]
    names = [path.name for path in write_figures(records, tmp_path)]
    assert names == ["accuracy.png", "accuracy.pdf", "sweep.png", "sweep.pdf", "figures.md"]
    assert "interval" not in saved[1].axes[0].get_title(loc="left")


def test_a_missing_library_is_one_clear_message(records, monkeypatch, tmp_path, capsys):
    (tmp_path / "records.jsonl").write_text(to_jsonl(records))
    monkeypatch.setitem(sys.modules, "seaborn", None)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: seaborn is missing: pip install 'vos-bench[reports]'\n"
