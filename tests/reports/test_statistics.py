"""Differences, intervals and power against closed forms, brute force and published values."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from reports.statistics import interval, paired_difference, seeds_needed, seeds_to_show


@pytest.fixture
def pair_with(make_cell):
    """Records of two labels whose differences a - b are the given array (sequences, seeds)."""

    def make(differences):
        differences = np.asarray(differences, float)
        base = np.random.default_rng(5).uniform(20, 80, differences.shape)  # what the pairing must cancel

        def cells(label, scores):
            return [
                make_cell(label, seed, 0.0, per_sequence=json.dumps({f"s{i}": v for i, v in enumerate(column)}))
                for seed, column in enumerate(scores.T.tolist())
            ]

        return cells("a", base + differences), cells("b", base)

    return make


def test_a_constant_difference_has_no_width(pair_with):
    found = paired_difference(*pair_with(np.full((7, 3), 1.5)))
    assert (found.mean, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert (found.two_way_low, found.two_way_high) == pytest.approx((1.5, 1.5))
    assert (found.pairs, found.seeds) == (21, 3)
    assert found.p < 0.05


def test_the_mean_is_numpys_and_turns_its_sign_with_the_order(pair_with):
    differences = np.random.default_rng(0).normal(2, 3, (6, 3))
    a, b = pair_with(differences)
    assert paired_difference(a, b).mean == pytest.approx(differences.mean())
    assert paired_difference(b, a).mean == pytest.approx(-differences.mean())


def test_a_sequence_weighs_as_many_objects_as_it_has(make_cell):
    """So that the difference is that of the J&F, which average over objects."""

    def cell(label, scores):
        counts = json.dumps({"one": 1, "three": 3})
        return [make_cell(label, 0, 0.0, per_sequence=json.dumps(scores), objects_per_sequence=counts)]

    found = paired_difference(cell("a", {"one": 60, "three": 50}), cell("b", {"one": 50, "three": 48}))
    assert found.mean == pytest.approx((10 + 3 * 2) / 4)
    assert (found.low, found.high) == pytest.approx((2, 10))


def test_symmetric_differences_have_0_in_their_middle(pair_with):
    differences = np.random.default_rng(1).normal(0, 2, (10, 3))
    found = paired_difference(*pair_with(np.concatenate([differences, -differences])))
    assert found.mean == pytest.approx(0)
    assert found.low < 0 < found.high
    assert found.two_way_high == pytest.approx(-found.two_way_low)
    assert found.p == pytest.approx(1)


def test_with_one_seed_it_is_the_textbook_interval_of_a_mean(pair_with):
    differences = np.random.default_rng(2).normal(1, 4, (200, 1))
    found = paired_difference(*pair_with(differences))
    half = 1.96 * differences.std() / np.sqrt(200)
    assert found.low == pytest.approx(differences.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(differences.mean() + half, abs=0.1 * half)


def test_sequences_and_seeds_are_both_drawn_again(pair_with):
    differences = np.array([[0.0, 1.1], [2.3, 7.9], [4.1, 3.2], [-1.7, 0.6]])
    means = [
        differences[np.ix_(rows, columns)].mean()
        for rows in itertools.product(range(4), repeat=4)
        for columns in itertools.product(range(2), repeat=2)
    ]
    found = paired_difference(*pair_with(differences))
    assert [found.low, found.high] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.1)
    seeds_kept = [differences[list(rows)].mean() for rows in itertools.product(range(4), repeat=4)]
    assert found.high > np.percentile(seeds_kept, 97.5) + 0.3, "the seeds' noise widens the interval"


def two_way_bootstrap(values, resamples=10_000, seed=7) -> np.ndarray:
    """Ends of the 95 % interval, one resample after another: (2,)."""
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(resamples):
        rows, columns = (rng.choice(size, size) for size in values.shape)
        means.append(values[np.ix_(rows, columns)].mean())
    return np.percentile(means, [2.5, 97.5])


@pytest.mark.parametrize("shape", [(16, 5), (8, 3), (1, 12), (12, 1)])
def test_the_interval_is_that_of_a_brute_force_bootstrap(pair_with, shape):
    rng = np.random.default_rng(8)
    differences = 1 + rng.normal(0, 3, (shape[0], 1)) + rng.normal(0, 2, (1, shape[1])) + rng.normal(0, 1, shape)
    found = paired_difference(*pair_with(differences))
    expected = two_way_bootstrap(differences)
    error = 0.05 * (expected[1] - expected[0])  # Monte Carlo: the standard error is 1 % of the width
    assert [found.low, found.high] == pytest.approx(expected, abs=error)


def test_the_interval_of_many_sequences_is_that_of_few_drawn_in_one_batch(pair_with):
    differences = np.random.default_rng(9).normal(1, 4, (300, 2))
    found = paired_difference(*pair_with(differences))
    width = found.high - found.low
    assert [found.low, found.high] == pytest.approx(two_way_bootstrap(differences), abs=0.04 * width)


def test_a_single_pair_has_no_interval_and_is_never_called_a_difference(pair_with):
    found = paired_difference(*pair_with([[5.0]]))
    assert found.mean == pytest.approx(5)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert all(math.isnan(value) for value in (found.two_way_low, found.two_way_high, found.p))


@pytest.mark.parametrize(
    ("shape", "has_interval", "lacking"),
    [
        ((3, 3), True, ""),
        ((6, 2), True, "two seeds"),
        ((6, 1), False, "one seed"),
        ((1, 5), False, "one sequence"),
        ((2, 5), True, "two sequences"),
    ],
)
def test_it_takes_three_seeds_and_three_sequences_for_a_verdict(pair_with, shape, has_interval, lacking):
    found = paired_difference(*pair_with(np.random.default_rng(4).normal(1, 2, shape)))
    assert math.isnan(found.two_way_low) != has_interval
    assert math.isnan(found.p) == bool(lacking)
    assert found.lacking == lacking


def test_the_two_way_interval_is_wider_than_the_bootstrap_at_three_seeds(pair_with):
    seeds = np.array([[1.0, 5.0, 9.0]])
    found = paired_difference(*pair_with(seeds + np.random.default_rng(6).normal(0, 1, (20, 1))))
    assert found.two_way_low < 0 < found.low
    assert found.two_way_high - found.two_way_low > 2 * (found.high - found.low)


def test_what_nothing_was_trained_for_varies_by_sequence_alone(pair_with):
    a, b = ([replace(record, train_steps=0) for record in records] for records in pair_with([[1.0], [2.0], [6.0]]))
    found = paired_difference(a, b)
    expected = stats.ttest_1samp([1.0, 2.0, 6.0], 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.two_way_low, found.two_way_high) == pytest.approx(expected.confidence_interval(0.95))
    trained = [replace(record, train_steps=300) for record in b]
    assert math.isnan(paired_difference(a, trained).p)


def test_the_interval_of_one_row_is_that_of_its_scores(pair_with):
    scores = 50 + np.random.default_rng(10).normal(0, 5, (12, 3))
    a, b = pair_with(scores)
    b = [replace(r, per_sequence=json.dumps(dict.fromkeys(json.loads(r.per_sequence), 0.0))) for r in b]
    a = [
        replace(r, per_sequence=json.dumps({f"s{i}": v for i, v in enumerate(column)}))
        for r, column in zip(a, scores.T.tolist(), strict=True)
    ]
    against_zero = paired_difference(a, b)
    assert interval(a) == (against_zero.low, against_zero.high)
    assert interval(a) == pytest.approx(two_way_bootstrap(scores), abs=0.4)


@pytest.mark.parametrize("per_sequence", ["", '{"only": 50.0}'])
def test_a_row_with_nothing_to_resample_has_no_interval(make_cell, per_sequence):
    assert all(math.isnan(end) for end in interval([make_cell("a", 0, 50.0, per_sequence=per_sequence)]))


def seeds_with_spread(spread: float) -> np.ndarray:
    """Differences (sequences, seeds) whose averages over the sequences have this sample deviation."""
    of_seeds = np.array([1.0, 1.0 + spread * math.sqrt(2)])
    return of_seeds + np.array([[20.0], [-5.0], [-15.0]])  # sequences differ much, which must not matter


@pytest.mark.parametrize(
    ("ratio", "pairs"),
    # G*Power 3.1 and Cohen (1988) for a two-sided paired t test at 5 % with power 0.8
    [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)],
)
def test_the_seeds_needed_are_the_published_sample_sizes(ratio, pairs):
    assert seeds_to_show(0.5, 0.5 / ratio) == pairs
    assert seeds_to_show(0.5 / ratio, 0.5 / ratio) == 10


def test_the_spread_over_few_seeds_counts_with_its_upper_80_percent_bound(pair_with):
    """3.95 times the deviation of two: chi-square with one degree of freedom is above 0.0642 in 80 %."""
    a, b = pair_with(seeds_with_spread(1.0))
    assert seeds_needed(a, b, effect=4.0) == seeds_to_show(4.0, 3.947) == 10
    draws = np.random.default_rng(12).normal(0, 1, (4000, 2)).std(axis=1, ddof=1)
    assert (3.947 * draws > 1).mean() == pytest.approx(0.8, abs=0.02)


def test_more_than_50_seeds_are_not_counted(pair_with):
    assert seeds_needed(*pair_with(seeds_with_spread(1.0))) == 51


def test_the_power_is_what_simulated_t_tests_reach():
    seeds = seeds_to_show(1.5, 1.0, power=0.9)
    assert seeds == 7
    draws = np.random.default_rng(11).normal(1.5, 1.0, (20_000, 7))

    def share(count):
        sample, critical = draws[:, :count], {6: 2.5706, 7: 2.4469}[count]  # t table, 5 % two-sided
        statistic = sample.mean(axis=1) / sample.std(axis=1, ddof=1) * math.sqrt(count)
        return (abs(statistic) > critical).mean()

    assert share(6) < 0.9 < share(7)


def test_seeds_that_agree_need_two_and_one_seed_tells_nothing(pair_with):
    assert seeds_needed(*pair_with(np.full((3, 2), 4.0))) == 2
    assert seeds_needed(*pair_with([[1.0], [2.0]])) is None
    a, b = pair_with([[1.0, 2.0]])
    assert seeds_needed(a[:1], b[1:]) is None


def test_the_same_records_give_the_same_interval(pair_with):
    a, b = pair_with(np.random.default_rng(3).normal(0, 1, (5, 2)))
    assert paired_difference(a, b) == paired_difference(a, b)


def test_only_what_both_have_is_compared(pair_with):
    a, b = pair_with([[1.0, 9.0], [3.0, 9.0], [100.0, 9.0]])
    b[1] = replace(b[1], status="killed")
    b[0] = replace(
        b[0], per_sequence=json.dumps({k: v for k, v in json.loads(b[0].per_sequence).items() if k != "s2"})
    )
    found = paired_difference(a, b)
    assert found.mean == pytest.approx(2.0)
    assert (found.pairs, found.seeds) == (2, 1)


def test_nothing_in_common_is_an_error(pair_with):
    a, b = pair_with([[1.0, 2.0]])
    with pytest.raises(ValueError, match="nothing to compare"):
        paired_difference(a[:1], b[1:])
