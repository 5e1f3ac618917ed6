"""The losses against closed forms, and where pixels are drawn from."""

import pytest
import torch
import torch.nn.functional as F

from methods import MethodError
from methods.distillation.classification import (
    dice_loss,
    logit_distillation,
    masked_mean,
    poly_cross_entropy,
)
from methods.distillation.representation import correlation, gather_pixels, representation_loss
from methods.distillation.sampling import boundary, sample_pixels


def features(groups=2, pixels=6, channels=4, seed=0, **kw):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(groups, pixels, channels, generator=generator, dtype=torch.float64, **kw)


def renyi_entropy(matrix: torch.Tensor) -> torch.Tensor:
    """Order-2 entropy of a positive semi-definite matrix, by its eigenvalues."""
    eigenvalues = torch.linalg.eigvalsh(matrix / matrix.trace())
    return -eigenvalues.pow(2).sum().log2()


def test_with_omega_1_the_loss_is_minus_mutual_information_plus_the_teachers_entropy():
    student, teacher = features(1), features(1, channels=7, seed=1)
    ss, tt = correlation(student)[0], correlation(teacher)[0]
    information = renyi_entropy(ss) + renyi_entropy(tt) - renyi_entropy(ss * tt)
    loss = representation_loss(student, teacher, torch.zeros(1, 6).long(), omega=1.0)
    torch.testing.assert_close(6 * loss, renyi_entropy(tt) - information, atol=1e-6, rtol=0)


def test_with_omega_0_the_loss_is_the_log_ratio_of_all_pairs_to_positive_pairs():
    student, labels = features(1), torch.tensor([[0, 0, 1, 1, 1, 0]])
    c = correlation(student)[0].pow(2)
    positives = c[labels[0][:, None] == labels[0][None]]
    expected = torch.log2(c.sum() / positives.sum()) / 6
    loss = representation_loss(student, features(1, seed=5), labels, omega=0.0)
    torch.testing.assert_close(loss, expected)


def test_features_that_separate_the_classes_reach_zero():
    labels = torch.tensor([[0, 1, 1, 0]])
    student = F.one_hot(labels, 2).double()
    assert representation_loss(student, features(1, 4), labels, omega=0.0).abs() < 1e-12


def test_normalizers_differ_by_the_number_of_pixels():
    args = (features(), features(seed=1), torch.zeros(2, 6).long())
    torch.testing.assert_close(
        representation_loss(*args, normalizer="n"), 6 * representation_loss(*args, normalizer="n2")
    )


def test_the_order_of_pixels_changes_nothing():
    student, teacher, labels = features(), features(seed=1), torch.randint(2, (2, 6))
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(
        representation_loss(student, teacher, labels),
        representation_loss(student[:, order], teacher[:, order], labels[:, order]),
    )


def test_groups_are_never_compared_with_each_other():
    student, teacher, labels = features(), features(seed=1), torch.randint(2, (2, 6))
    alone = [representation_loss(student[[i]], teacher[[i]], labels[[i]]) for i in range(2)]
    torch.testing.assert_close(representation_loss(student, teacher, labels), sum(alone) / 2)


def test_gradient_of_the_representation_loss():
    labels = torch.tensor([[0, 1, 1, 0, 1, 0]] * 2)
    student = features(requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: representation_loss(s, features(seed=1), labels), student)


def test_poly_cross_entropy_is_cross_entropy_plus_epsilon_times_the_missing_probability():
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 3, 1])
    p = logits.softmax(1)[range(3), target]
    torch.testing.assert_close(poly_cross_entropy(logits, target, 2.0), -p.log() + 2 * (1 - p))
    plain = torch.autograd.grad(poly_cross_entropy(logits, target, 0.0).sum(), logits)[0]
    poly = torch.autograd.grad(poly_cross_entropy(logits, target, 1.0).sum(), logits)[0]
    assert (plain - poly).abs().max() > 0.05  # the polynomial term carries gradient
    assert torch.autograd.gradcheck(lambda x: poly_cross_entropy(x, target), logits)


def test_logit_distillation_is_the_divergence_of_the_softened_distributions():
    student, teacher = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
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
    assert dice_loss(predicted, target) == pytest.approx(1 - (2 * 4 + 1) / (8 + 8 + 1))
    assert dice_loss(target, target) == dice_loss(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)) == 0


def test_the_boundary_of_a_square_is_its_inner_and_outer_ring():
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, 2:6, 2:6] = 1
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[1:7, 1:7] = True
    expected[3:5, 3:5] = False
    assert boundary(labels)[0].equal(expected)
    assert boundary(labels, width=2).sum() == 64 - 0  # every pixel is within two of the outline


def test_image_borders_are_no_boundary():
    assert not boundary(torch.ones(1, 16, 16, dtype=torch.long), width=3).any()


def test_boundary_samples_come_from_the_boundary_first():
    labels = torch.zeros(1, 16, 16, dtype=torch.long)
    labels[0, 4:12, 4:12] = 1
    ring = boundary(labels).flatten()
    size = int(ring.sum())
    few = sample_pixels(labels, size // 2, "boundary", torch.Generator().manual_seed(0))
    assert ring[few[0]].all()
    more = sample_pixels(labels, size + 10, "boundary", torch.Generator().manual_seed(0))
    assert ring[more[0]].sum() == size


def test_samples_are_different_pixels_and_repeat_with_the_seed():
    labels = torch.zeros(2, 8, 8, dtype=torch.long)
    draws = [sample_pixels(labels, 20, "random", torch.Generator().manual_seed(3)) for _ in range(2)]
    assert draws[0].equal(draws[1])
    assert all(len(set(row.tolist())) == 20 for row in draws[0])
    assert sample_pixels(labels, 1000, "random", torch.Generator()).shape == (2, 64)


def test_gathered_pixels_are_those_of_the_map():
    maps, index = torch.randn(2, 3, 4, 4), torch.tensor([[0, 5], [15, 2]])
    gathered = gather_pixels(maps, index)
    torch.testing.assert_close(gathered[1, 0], maps[1, :, 3, 3])
    torch.testing.assert_close(gathered[0, 1], maps[0, :, 1, 1])


def test_unknown_choices_are_named():
    with pytest.raises(MethodError, match="sampler 'edge'; known: random, boundary"):
        sample_pixels(torch.zeros(1, 4, 4).long(), 2, "edge", torch.Generator())
    with pytest.raises(MethodError, match="normalizer 'm'"):
        representation_loss(features(), features(), torch.zeros(2, 6).long(), normalizer="m")
