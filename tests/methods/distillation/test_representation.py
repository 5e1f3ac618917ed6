"""MobileVOS's representation loss against entropies from eigenvalues, double loops and finite differences."""

import math

import pytest
import torch
import torch.nn.functional as F

from methods import MethodError
from methods.distillation.representation import correlation, gather_pixels, representation_loss

PIXELS = 6
LABELS = torch.tensor([[0, 0, 1, 1, 1, 0], [1, 0, 1, 0, 0, 0]])


def features(groups=2, channels=4, seed=0, **kw):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(groups, PIXELS, channels, generator=generator, dtype=torch.float64, **kw)


def renyi_entropy(matrix: torch.Tensor) -> torch.Tensor:
    """Order-2 entropy of a positive semi-definite matrix, by its eigenvalues."""
    eigenvalues = torch.linalg.eigvalsh(matrix / matrix.trace())
    return -eigenvalues.pow(2).sum().log2()


@pytest.mark.parametrize("seed", range(3))
def test_with_omega_1_the_loss_is_the_students_conditional_entropy(seed):
    student, teacher = features(1, seed=seed), features(1, channels=7, seed=seed + 10)
    ss, tt = correlation(student)[0], correlation(teacher)[0]
    joint = renyi_entropy(ss * tt)
    information = renyi_entropy(ss) + renyi_entropy(tt) - joint
    logs = PIXELS * representation_loss(student, teacher, LABELS[:1], omega=1.0)
    torch.testing.assert_close(logs, joint - renyi_entropy(ss), atol=1e-6, rtol=0)
    torch.testing.assert_close(logs, renyi_entropy(tt) - information, atol=1e-6, rtol=0)


def test_with_omega_0_the_loss_is_the_log_ratio_of_all_pairs_to_positive_pairs():
    student = features(1)
    every = positive = 0.0
    for i, a in enumerate(student[0]):
        for j, b in enumerate(student[0]):
            squared = (float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))) ** 2
            every += squared
            positive += squared if LABELS[0, i] == LABELS[0, j] else 0
    loss = representation_loss(student, features(1, seed=5), LABELS[:1], omega=0.0)
    assert loss.item() == pytest.approx(math.log2(every / positive) / PIXELS, abs=1e-12)


def test_between_the_endpoints_the_target_is_their_mixture():
    student, teacher = features(1), features(1, seed=1)
    total = joint = 0.0
    for i in range(PIXELS):
        for j in range(PIXELS):
            s = F.cosine_similarity(student[0, i], student[0, j], dim=0).item()
            t = F.cosine_similarity(teacher[0, i], teacher[0, j], dim=0).item()
            total += s**2
            joint += (s * (0.3 * t + 0.7 * float(LABELS[0, i] == LABELS[0, j]))) ** 2
    loss = representation_loss(student, teacher, LABELS[:1], omega=0.3)
    assert loss.item() == pytest.approx(math.log2(total / joint) / PIXELS, abs=1e-12)


def test_features_that_separate_the_classes_reach_zero():
    student = F.one_hot(LABELS, 2).double()
    assert representation_loss(student, features(), LABELS, omega=0.0).abs() < 1e-12


def test_normalizers_divide_by_the_pixels_or_the_pairs():
    args = (features(), features(seed=1), LABELS)
    torch.testing.assert_close(
        representation_loss(*args, normalizer="n"), PIXELS * representation_loss(*args, normalizer="n2")
    )


def test_the_order_of_pixels_changes_nothing():
    student, teacher = features(), features(seed=1)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(
        representation_loss(student, teacher, LABELS),
        representation_loss(student[:, order], teacher[:, order], LABELS[:, order]),
    )


def test_the_loss_of_two_groups_is_the_mean_of_each_alone():
    student, teacher = features(), features(seed=1)
    alone = [representation_loss(student[[i]], teacher[[i]], LABELS[[i]]) for i in range(2)]
    torch.testing.assert_close(representation_loss(student, teacher, LABELS), sum(alone) / 2)


@pytest.mark.parametrize("omega", [0.0, 0.5, 1.0])
def test_nothing_in_one_video_changes_the_gradient_of_another(omega):
    """Pixels of the same class in two videos are never positives of each other."""

    def gradient_of_the_first(second_student, second_teacher, second_labels):
        student = torch.stack([features()[0], second_student]).requires_grad_()
        teacher = torch.stack([features(seed=1)[0], second_teacher])
        labels = torch.stack([LABELS[0], second_labels])
        return torch.autograd.grad(representation_loss(student, teacher, labels, omega), student)[0][0]

    one = gradient_of_the_first(features()[1], features(seed=1)[1], LABELS[1])
    other = gradient_of_the_first(features(seed=2)[0], features(seed=3)[0], 1 - LABELS[1])
    assert one.abs().max() > 1e-3
    torch.testing.assert_close(one, other, atol=1e-15, rtol=0)


@pytest.mark.parametrize("normalizer", ["n", "n2"])
@pytest.mark.parametrize("omega", [0.0, 0.5, 0.95, 1.0])
def test_gradient(omega, normalizer):
    student, teacher = features(requires_grad=True), features(channels=3, seed=1)
    assert torch.autograd.gradcheck(lambda s: representation_loss(s, teacher, LABELS, omega, normalizer), student)


def test_gathered_pixels_are_those_of_the_map():
    maps, index = torch.randn(2, 3, 4, 4), torch.tensor([[0, 5], [15, 2]])
    gathered = gather_pixels(maps, index)
    torch.testing.assert_close(gathered[1, 0], maps[1, :, 3, 3])
    torch.testing.assert_close(gathered[0, 1], maps[0, :, 1, 1])


def test_an_unknown_normalizer_is_named():
    with pytest.raises(MethodError, match="normalizer 'm'; known: n, n2"):
        representation_loss(features(), features(), LABELS, normalizer="m")
