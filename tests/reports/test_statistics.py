"""The paired difference against closed forms and an exhaustive bootstrap."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from reports.statistics import paired_difference


@pytest.fixture
def pair_with(make_cell):
    """Records of two labels whose differences a - b are the given array (sequences, seeds)."""

    def make(differences):
        differences = np.asarray(differences, float)
        base = np.random.default_rng(5).uniform(20, 80, differences.shape)  # what the pairing must cancel

        def cells(label, scores):
            return [
                make_cell(
                    label, seed, 0.0, per_sequence=json.dumps({f"s{i}": v for i, v in enumerate(column)})
                )
                for seed, column in enumerate(scores.T.tolist())
            ]

        return cells("a", base + differences), cells("b", base)

    return make


def test_a_constant_difference_has_no_width(pair_with):
    found = paired_difference(*pair_with(np.full((7, 3), 1.5)))
    assert (found.mean, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert (found.pairs, found.seeds) == (21, 3)
    assert not found.within_noise


def test_the_mean_is_numpys_and_turns_its_sign_with_the_order(pair_with):
    differences = np.random.default_rng(0).normal(2, 3, (6, 3))
    a, b = pair_with(differences)
    assert paired_difference(a, b).mean == pytest.approx(differences.mean())
    assert paired_difference(b, a).mean == pytest.approx(-differences.mean())


def test_symmetric_noise_is_within_noise(pair_with):
    noise = np.random.default_rng(1).normal(0, 2, (10, 1))
    found = paired_difference(*pair_with(np.concatenate([noise, -noise])))
    assert found.mean == pytest.approx(0)
    assert found.within_noise


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
