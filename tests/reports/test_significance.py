"""The two-way interval: closed forms, and what it covers where the truth is known; Holm's correction."""

import numpy as np
import pytest
from scipy import stats

from reports.significance import holm, two_way

# Standard deviations of sequences, seeds and their interaction, in J&F: as measured, and what seems hard.
SETTINGS = [(5.5, 6, 10.7), (5.5, 8.3, 10.7), (1, 2, 2), (0, 0.85, 3.7), (3.9, 0.1, 5)]
TABLES = 4000


def drawn(rng, spreads, tables: int, sequences: int, seeds: int) -> np.ndarray:
    """Scores or differences without any effect: (tables, sequences, seeds)."""
    shapes = (tables, sequences, 1), (tables, 1, seeds), (tables, sequences, seeds)
    sequence, seed, both = (spread * rng.normal(size=shape) for spread, shape in zip(spreads, shapes, strict=True))
    return sequence + seed + both


def test_it_is_students_interval_where_sequences_alone_vary():
    values = np.random.default_rng(0).normal(1, 4, (12, 1))
    found, expected = two_way(values, np.ones(12)), stats.ttest_1samp(values[:, 0], 0)
    assert found.interval() == pytest.approx(expected.confidence_interval(0.95))
    assert found.p == pytest.approx(expected.pvalue)


def test_it_is_students_interval_over_the_seeds_where_sequences_agree():
    seeds = np.random.default_rng(1).normal(1, 4, 5)
    found, expected = two_way(np.broadcast_to(seeds, (8, 5)), np.ones(8)), stats.ttest_1samp(seeds, 0)
    assert found.interval() == pytest.approx(expected.confidence_interval(0.95))
    assert found.p == pytest.approx(expected.pvalue)


def test_the_variance_of_the_mean_is_estimated_without_bias():
    """Var = sequence * sum(w^2) + seed / seeds + interaction * sum(w^2) / seeds, for weights that add to one."""
    weights = np.array([1, 1, 1, 2, 5], float)
    found = two_way(drawn(np.random.default_rng(2), (4, 5, 1), 20_000, 5, 4), weights)
    squares = ((weights / weights.sum()) ** 2).sum()
    assert (found.error**2).mean() == pytest.approx(16 * squares + 25 / 4 + squares / 4, rel=0.03)
    assert found.mean.var() == pytest.approx((found.error**2).mean(), rel=0.05)


@pytest.mark.parametrize(("effect", "p"), [(1.5, 0), (0, 1)])
def test_an_effect_without_any_spread_is_certain_and_none_is_none(effect, p):
    found = two_way(np.full((7, 3), effect, float), np.ones(7))
    assert found.interval() == pytest.approx((effect, effect))
    assert found.p == pytest.approx(p)


def test_p_is_5_percent_where_an_end_of_the_interval_is_0():
    values = 1 + drawn(np.random.default_rng(3), (1, 1, 1), 1, 6, 3)[0]
    for end in two_way(values, np.ones(6)).interval():
        assert two_way(values - end, np.ones(6)).p == pytest.approx(0.05)


@pytest.mark.parametrize("reading", ["deviations", "variances"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_95_percent_intervals_cover_at_least_93(setting, reading):
    """At every number of seeds and sequences, with equal and unequal weights; 0 is covered where p is 5 % or more.

    The standard error of a share of 4000 tables is 0.4 %.
    """
    spreads = np.sqrt(setting) if reading == "variances" else setting
    rng = np.random.default_rng(4)
    for seeds in (3, 5, 8):
        for sequences in (3, 10, 30):
            for weights in (np.ones(sequences), rng.geometric(0.5, sequences).astype(float)):
                found = two_way(drawn(rng, spreads, TABLES, sequences, seeds), weights)
                assert (found.p >= 0.05).mean() >= 0.93, (seeds, sequences, weights)


@pytest.mark.parametrize("setting", SETTINGS)
def test_of_tables_with_8_rows_and_no_effect_at_most_6_percent_call_one_significant(setting):
    """The rows are compared with one reference, so that their differences depend on each other."""
    rng = np.random.default_rng(5)
    for seeds, sequences in ((3, 10), (3, 30), (8, 3)):
        scores = drawn(rng, setting, 9 * TABLES, sequences, seeds).reshape(TABLES, 9, sequences, seeds)
        p = two_way(scores[:, 1:] - scores[:, :1], np.ones(sequences)).p
        assert np.mean([holm(each).min() < 0.05 for each in p]) <= 0.06, (seeds, sequences)


def test_holms_correction_of_a_worked_example():
    """0.01 * 4, 0.02 * 3 and 0.03 * 2 (no less than the one before), 0.5."""
    assert holm(np.array([0.03, 0.01, 0.5, 0.02])) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert holm(np.array([0.04])) == pytest.approx([0.04])
    assert holm(np.array([])).shape == (0,)
