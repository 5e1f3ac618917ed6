"""Where pixels are drawn from: known shapes, frequencies and random numbers."""

import pytest
import torch

from methods import MethodError
from methods.distillation import SAMPLERS
from methods.distillation.sampling import binary_entropy, boundary, sample_pixels


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def square(size=16, low=4, high=12):
    labels = torch.zeros(1, size, size, dtype=torch.long)
    labels[0, low:high, low:high] = 1
    return labels


@pytest.mark.parametrize("width", [1, 2])
def test_the_boundary_of_a_square_is_its_inner_and_outer_rings(width):
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[4 - width : 12 + width, 4 - width : 12 + width] = True
    expected[4 + width : 12 - width, 4 + width : 12 - width] = False
    assert boundary(square(), width)[0].equal(expected)


def test_image_borders_are_no_boundary():
    assert not boundary(torch.ones(1, 16, 16, dtype=torch.long), width=3).any()


def test_a_shape_that_touches_the_image_border_has_its_boundary_inside_only():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, :3, :3] = 5  # a corner
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4, :4] = True
    expected[:2, :2] = False
    assert boundary(labels)[0].equal(expected)


def test_touching_objects_have_a_boundary_between_them():
    labels = torch.ones(1, 4, 6, dtype=torch.long)
    labels[..., 3:] = 2
    assert boundary(labels)[0].all(0).tolist() == boundary(labels)[0].any(0).tolist()
    assert boundary(labels)[0, 0].tolist() == [False, False, True, True, False, False]


def test_boundary_samples_come_from_the_boundary_first():
    ring = boundary(square()).flatten()
    size = int(ring.sum())
    few = sample_pixels(square(), size // 2, "boundary", seeded())
    assert ring[few[0]].all()
    more = sample_pixels(square(), size + 10, "boundary", seeded())
    assert ring[more[0]].sum() == size


@pytest.mark.parametrize("sampler", ["random", "boundary", "uncertainty"])
def test_samples_are_different_pixels_and_repeat_with_the_seed(sampler):
    labels = square(8, 2, 6).expand(2, -1, -1)
    weights = torch.rand(2, 8, 8, generator=seeded(1))
    draws = [sample_pixels(labels, 20, sampler, seeded(3), uncertainty=weights) for _ in range(2)]
    assert draws[0].equal(draws[1])
    assert all(len(set(row.tolist())) == 20 for row in draws[0])
    assert not draws[0].equal(sample_pixels(labels, 20, sampler, seeded(4), uncertainty=weights))
    everything = sample_pixels(labels, 1000, sampler, seeded(), uncertainty=weights)
    assert everything.sort().values.equal(torch.arange(64).expand(2, -1))


def test_all_is_every_pixel_in_order_whatever_the_count():
    labels = torch.zeros(3, 4, 5, dtype=torch.long)
    for count in (1, 1000):
        assert sample_pixels(labels, count, "all", seeded()).equal(torch.arange(20).expand(3, -1))


def test_every_sampler_draws_the_same_random_numbers():
    after = set()
    for sampler in SAMPLERS:
        generator = seeded()
        sample_pixels(square(), 3, sampler, generator, uncertainty=torch.rand(1, 16, 16))
        after.add(torch.rand(1, generator=generator).item())
    assert len(after) == 1


def test_a_single_uncertain_pixel_is_drawn_in_proportion_to_its_weight():
    weights = torch.tensor([[0.05, 0.1, 0.0], [0.2, 0.4, 0.25]])  # sums to 1
    trials = 40_000
    labels = torch.zeros(trials, 2, 3, dtype=torch.long)
    drawn = sample_pixels(labels, 1, "uncertainty", seeded(), uncertainty=weights.expand(trials, -1, -1))
    frequency = drawn.flatten().bincount(minlength=6) / trials
    # Five standard errors of a binomial frequency are at most 5 sqrt(0.25 / 40000) = 0.0125.
    torch.testing.assert_close(frequency, weights.flatten(), atol=0.0125, rtol=0)
    assert frequency[2] == 0


def test_the_second_pixel_is_drawn_in_proportion_to_the_weights_that_are_left():
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 2, 2)
    trials = 40_000
    labels = torch.zeros(trials, 2, 2, dtype=torch.long)
    pairs = sample_pixels(labels, 2, "uncertainty", seeded(), uncertainty=weights.expand(trials, -1, -1))
    p = weights.flatten().tolist()
    expected = torch.tensor([[0 if i == j else p[i] * p[j] / (1 - p[i]) for j in range(4)] for i in range(4)])
    frequency = (4 * pairs[:, 0] + pairs[:, 1]).bincount(minlength=16).view(4, 4) / trials
    torch.testing.assert_close(frequency, expected, atol=0.0125, rtol=0)


def test_certain_pixels_are_drawn_only_when_the_others_run_out_and_then_uniformly():
    trials = 4_000
    weights = torch.tensor([0.0, 1e-20, 1.0, 0.0]).view(1, 2, 2).expand(trials, -1, -1)
    labels = torch.zeros(trials, 2, 2, dtype=torch.long)
    drawn = sample_pixels(labels, 3, "uncertainty", seeded(), uncertainty=weights)
    assert drawn[:, :2].sort().values.equal(torch.tensor([1, 2]).expand(trials, -1))
    assert (drawn[:, 2] == 0).float().mean() == pytest.approx(0.5, abs=0.04)  # five standard errors


def test_binary_entropy_in_bits():
    p = torch.tensor([0.0, 0.11, 0.25, 0.5, 0.75, 1.0], dtype=torch.float64)
    expected = torch.distributions.Bernoulli(p).entropy() / torch.tensor(2.0, dtype=torch.float64).log()
    torch.testing.assert_close(binary_entropy(p), expected)
    assert binary_entropy(p)[[0, 3, 5]].tolist() == [0, 1, 0]
    assert binary_entropy(torch.tensor([0.11])).item() == pytest.approx(0.4999, abs=1e-4)  # textbook value


def test_bad_requests_are_named():
    labels = torch.zeros(1, 4, 4).long()
    with pytest.raises(MethodError, match="sampler 'edge'; known: random, boundary, uncertainty, all"):
        sample_pixels(labels, 2, "edge", torch.Generator())
    with pytest.raises(MethodError, match=r"'uncertainty' needs .* \(1, 4, 4\), got none: pass uncertainty="):
        sample_pixels(labels, 2, "uncertainty", torch.Generator())
    with pytest.raises(MethodError, match=r"got \(1, 8, 8\)"):
        sample_pixels(labels, 2, "uncertainty", torch.Generator(), uncertainty=torch.ones(1, 8, 8))
