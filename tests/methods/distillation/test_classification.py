"""The losses on logits against closed forms."""

import math

import pytest
import torch

from methods import MethodError
from methods.distillation.classification import (
    bootstrap_share,
    bootstrapped,
    dice_losses,
    jaccard_losses,
    logit_distillation,
    masked_mean,
    poly_cross_entropy,
)


def random(*shape, seed=0, **kw):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **kw)


def test_poly_cross_entropy_is_cross_entropy_plus_epsilon_times_the_missing_probability():
    logits, target = random(3, 4, requires_grad=True), torch.tensor([0, 3, 1])
    p = logits.softmax(1)[range(3), target]
    torch.testing.assert_close(poly_cross_entropy(logits, target, 2.0), -p.log() + 2 * (1 - p))
    assert torch.autograd.gradcheck(lambda x: poly_cross_entropy(x, target), logits)


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 2.5])
def test_the_polynomial_term_carries_gradient(epsilon):
    """d/dz_j [-log p_y + epsilon (1 - p_y)] = (1 + epsilon p_y) (p_j - [j = y])."""
    logits, target = random(5, 4, seed=1, requires_grad=True), torch.tensor([0, 3, 1, 2, 2])
    gradient = torch.autograd.grad(poly_cross_entropy(logits, target, epsilon).sum(), logits)[0]
    p = logits.detach().softmax(1)
    plain = p - torch.eye(4, dtype=torch.float64)[target]
    own = p[range(5), target][:, None]
    torch.testing.assert_close(gradient, plain + epsilon * own * plain)


def test_logit_distillation_is_the_divergence_of_the_softened_distributions():
    student, teacher = random(2, 3, 5), random(2, 3, 5, seed=1)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=teacher.movedim(1, -1) / 0.5),
        torch.distributions.Categorical(logits=student.movedim(1, -1) / 0.5),
    )
    torch.testing.assert_close(logit_distillation(student, teacher, 0.5), expected)
    assert logit_distillation(teacher, teacher).abs().max() == 0


def test_masked_mean_counts_each_pixel_once():
    values, mask = torch.tensor([[1.0, 2.0, 30.0]]), torch.tensor([[True, True, False]])
    assert masked_mean(values, mask) == 1.5
    assert masked_mean(values, ~mask & mask) == 0


def test_dice_counts_overlap_twice_over_both_areas():
    target = torch.zeros(1, 4, 4)
    target[0, :2] = 1  # 8 pixels, 4 of them predicted and 4 elsewhere
    predicted = torch.zeros(1, 4, 4)
    predicted[0, 1:3] = 1
    assert dice_losses(predicted, target) == pytest.approx(1 - (2 * 4 + 1) / (8 + 8 + 1))
    assert dice_losses(target, target) == dice_losses(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)) == 0


def test_jaccard_counts_overlap_over_the_union():
    predicted, target = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    predicted[:, :2], target[:, 1:3] = 1, 1
    assert jaccard_losses(predicted, target) == pytest.approx(1 - (4 + 1) / (12 + 1))
    assert jaccard_losses(target, target) == 0


def test_bootstrapping_averages_the_hardest_pixels_of_each_clip():
    per_pixel = torch.tensor([[[9.0, 1.0], [7.0, 3.0]], [[0.1, 0.4], [0.2, 0.3]]])  # 2 clips of 4 pixels
    assert bootstrapped(per_pixel, 0.5) == pytest.approx(((9 + 7) / 2 + (0.4 + 0.3) / 2) / 2)
    assert bootstrapped(per_pixel, 0.25) == pytest.approx((9 + 0.4) / 2)


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 0.99, 1.0])
def test_bootstrapping_agrees_with_sorting(share):
    per_pixel = random(3, 5, 20).abs()
    count = max(1, math.floor(share * 100))
    expected = sum(sum(sorted(clip.flatten().tolist())[-count:]) / count for clip in per_pixel) / 3
    assert bootstrapped(per_pixel, share).item() == pytest.approx(expected, rel=1e-12)


def test_a_share_of_less_than_a_pixel_is_the_hardest_pixel():
    assert bootstrapped(torch.tensor([[1.0, 4.0, 2.0]]), 0.15) == 4


def test_bootstrapped_poly_cross_entropy_teaches_only_the_hardest_pixels():
    logits, target = random(2, 3, 4, 5, requires_grad=True), torch.zeros(2, 4, 5, dtype=torch.long)
    per_pixel = poly_cross_entropy(logits, target)
    gradient = torch.autograd.grad(bootstrapped(per_pixel, 0.15), logits, retain_graph=True)[0]
    taught = gradient.abs().sum(1) > 0
    assert (taught.sum((1, 2)) == 3).all()  # 15 % of 20 pixels
    for clip in range(2):
        assert per_pixel[clip][taught[clip]].min() > per_pixel[clip][~taught[clip]].max()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, math.nan])
def test_a_share_that_is_no_share_is_named(share):
    with pytest.raises(MethodError, match=f"bootstrap share is {share}"):
        bootstrapped(torch.ones(1, 4), share)


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 1.0), (19_999, 1.0), (20_000, 1.0), (45_000, 0.575), (60_000, 0.32), (70_000, 0.15), (10**6, 0.15)],
)
def test_stcns_schedule_of_the_bootstrap_share(step, share):
    assert bootstrap_share(step, 20_000, 70_000, 0.15) == pytest.approx(share)


def test_a_schedule_without_length_is_a_jump():
    assert [bootstrap_share(step, 3, 3, 0.2) for step in (2, 3, 4)] == [1.0, 0.2, 0.2]
