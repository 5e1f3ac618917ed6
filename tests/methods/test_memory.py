"""Reading the memory, and which frames it keeps."""

import math

import pytest
import torch

from methods import MethodError
from methods.memory import MemoryBank, MemoryPolicy, affinity, readout, similarity
from methods.mobilevos.network import queue_policy


def kept(policy: MemoryPolicy, frames: int) -> list[int]:
    """Which frames a read sees after `frames` frames."""
    bank = MemoryBank(policy)
    for index in range(frames):
        if bank.wants(index):
            bank.write(index, torch.full((1, 1, 1), float(index)), torch.zeros(2, 1, 1))
    return bank.read()[0].flatten().int().tolist()


def test_affinity_is_the_softmax_of_negative_squared_distances():
    keys, queries = torch.randn(1, 4, 6, dtype=torch.float64), torch.randn(1, 4, 5, dtype=torch.float64)
    distance = (queries[0].T[:, None] - keys[0].T[None]).pow(2).sum(-1)
    expected = (-distance / math.sqrt(4)).softmax(-1)
    torch.testing.assert_close(affinity(similarity(keys, queries))[0], expected)


def test_top_k_keeps_the_best_and_renormalises():
    scores = torch.tensor([[[3.0, 1.0, 2.0, -1.0]]])
    weights = affinity(scores, top_k=2)
    torch.testing.assert_close(weights[0, 0, [0, 2]], torch.tensor([3.0, 2.0]).softmax(0))
    assert weights[0, 0, 1] == weights[0, 0, 3] == 0


def test_large_affinities_do_not_overflow():
    weights = affinity(torch.tensor([[[1e4, 0.0, 1e4]]]), top_k=2)
    torch.testing.assert_close(weights, torch.tensor([[[0.5, 0.0, 0.5]]]))


def test_readout_is_the_weighted_mean_of_the_values():
    values, weights = torch.randn(2, 3, 4), torch.rand(1, 5, 4).softmax(-1)
    expected = torch.einsum("ocn,mn->ocm", values, weights[0])
    torch.testing.assert_close(readout(values, weights), expected)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (MemoryPolicy(every=5), [0, 5, 10]),
        (MemoryPolicy(every=5, include_last=True), [0, 5, 10, 12]),
        (queue_policy(2, "first+last", 5), [0, 12]),
        (queue_policy(4, "first+last", 5), [0, 10, 11, 12]),
        (queue_policy(2, "first+every", 5), [0, 10]),
        (queue_policy(3, "first+every", 3), [0, 9, 12]),
        (queue_policy(2, "last", 5), [11, 12]),
        (queue_policy(1, "first+last", 5), [0]),
        (queue_policy(None, "first+every", 4), [0, 4, 8, 12]),
    ],
)
def test_write_rules(policy, expected):
    assert kept(policy, 13) == expected


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: queue_policy(0, "first+last", 5), "queue of length 0"),
        (lambda: queue_policy(2, "middle", 5), "unknown write rule 'middle'; known: first"),
        (lambda: MemoryPolicy(every=0), "every 0 frames"),
    ],
)
def test_impossible_memories_are_refused(make, complaint):
    with pytest.raises(MethodError, match=complaint):
        make()
