"""Averages of weights against float64 by hand, and the greedy choice against brute force."""

from itertools import chain, combinations, permutations

import pytest
import torch

from methods import MethodError
from methods.soups import average, greedy


def states(*points: tuple[float, ...]) -> list[dict[str, torch.Tensor]]:
    """Networks of one weight each."""
    return [{"weight": torch.tensor(point)} for point in points]


def closeness(target: tuple[float, ...]):
    """A score that is best (0) where the weight is the target."""
    return lambda state: -float((state["weight"] - torch.tensor(target)).norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_average_is_that_of_float64(dtype):
    torch.manual_seed(0)
    members = [{"a": torch.randn(3, 4).to(dtype), "b.c": torch.randn(5).to(dtype)} for _ in range(7)]
    mean = average(members)
    for key in ("a", "b.c"):
        exact = torch.stack([member[key].double() for member in members]).mean(0)
        assert mean[key].dtype == dtype
        torch.testing.assert_close(mean[key], exact.to(dtype), atol=0, rtol=0)


def test_large_weights_that_cancel_leave_the_small_one():
    """In float32 the sum of 1e9, 1 and -1e9 is 0."""
    (mean,) = average(states((1e9,), (1.0,), (-1e9,)))["weight"]
    assert float(mean) == pytest.approx(1 / 3)


def test_counters_are_those_of_the_first_and_no_member_is_changed():
    members = [{"weight": torch.tensor([float(i)]), "seen": torch.tensor(10 * i)} for i in (1, 2)]
    mean = average(members)
    assert (mean["seen"], mean["seen"].dtype) == (10, torch.int64)
    mean["seen"] += 1
    mean["weight"] += 1
    assert [(float(m["weight"]), int(m["seen"])) for m in members] == [(1.0, 10), (2.0, 20)]


@pytest.mark.parametrize(
    "other", [{"weight": torch.zeros(3)}, {"weight": torch.zeros(2), "bias": torch.zeros(1)}, {}]
)
def test_different_networks_have_no_average(other):
    with pytest.raises(MethodError, match="different architecture"):
        average([{"weight": torch.zeros(2)}, other])


def test_nothing_has_no_average():
    with pytest.raises(MethodError, match="at least one"):
        average([])


@pytest.mark.parametrize("order", permutations(range(4)))
def test_two_that_are_better_together_are_found_in_any_order(order):
    """The target lies between the first two; the others are on one side, near and far."""
    members = states((0.0, 2.0), (2.2, 0.0), (4.0, 3.0), (9.0, 9.0))
    score = closeness((1.0, 1.0))
    mixed, chosen = greedy([members[i] for i in order], score)
    subsets = chain.from_iterable(combinations(members, count) for count in range(1, 5))
    assert score(mixed) == max(score(average(subset)) for subset in subsets)
    assert [order[i] for i in chosen] == [0, 1]  # best first


@pytest.mark.parametrize("seed", range(20))
def test_a_greedy_soup_scores_no_worse_than_its_best_member(seed):
    torch.manual_seed(seed)
    members = [{"weight": torch.randn(3)} for _ in range(6)]
    score = closeness((0.3, -0.2, 0.1))
    mixed, chosen = greedy(members, score)
    assert score(mixed) >= max(score(member) for member in members)
    torch.testing.assert_close(mixed, average([members[i] for i in chosen]))


def test_one_that_helps_nobody_stays_alone():
    mixed, chosen = greedy(states((5.0,), (1.0,), (3.0,)), closeness((1.0,)))
    assert (float(mixed["weight"]), chosen) == (1.0, [1])
