"""ITRD's losses against loops in float64, eigenvalues and finite differences."""

import math

import numpy as np
import pytest
import torch

from methods import MethodError
from methods.distillation.itrd import correlation_loss, mutual_information_loss


def random(*shape, seed=0, **kw):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **kw)


@pytest.mark.parametrize("alpha", [1.01, 1.5])
def test_correlation_loss_is_made_of_pearsons_coefficients(alpha):
    student, teacher = 3 * random(8, 5) + 2, random(8, 5, seed=1)
    total = 0.0
    for x in range(5):
        pearson = np.corrcoef(student[:, x].numpy(), teacher[:, x].numpy())[0, 1]
        total += abs(pearson * 7 / 8 - 1) ** (2 * alpha)  # 7/8: the unbiased deviation, but the mean of 8
    assert correlation_loss(student, teacher, alpha).item() == pytest.approx(math.log2(total), abs=1e-12)


def test_correlation_loss_is_least_for_features_identical_up_to_scale_and_shift():
    teacher = random(16, 3)
    least = math.log2(3) - 2 * 1.01 * math.log2(16)
    assert correlation_loss(5 * teacher - 1, teacher).item() == pytest.approx(least, abs=1e-9)
    opposite = math.log2(3) + 2 * 1.01 * math.log2(2 - 1 / 16)
    assert correlation_loss(-teacher, teacher).item() == pytest.approx(opposite, abs=1e-9)


def test_unrelated_features_cost_one_for_each_feature():
    square = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    alternating = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    loss = correlation_loss(square[:, None].expand(4, 3), alternating[:, None].expand(4, 3))
    assert loss.item() == pytest.approx(math.log2(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_identical_features_stay_finite_where_the_correlation_rounds_to_one(dtype):
    student = random(4096, 1).to(dtype).requires_grad_()  # 1 - 1/4096 is 1 in bfloat16
    loss = correlation_loss(student, student.detach())
    loss.backward()
    assert loss.item() == pytest.approx(-2.02 * 12, abs=0.5)
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.1, -300.0])
def test_a_constant_feature_counts_as_uncorrelated_and_gets_no_gradient(value):
    student, teacher = random(9, 3).float(), random(9, 3, seed=1).float()
    student[:, 1] = value
    student.requires_grad_()
    loss = correlation_loss(student, teacher)
    loss.backward()
    others = [0, 2]
    rest = 2 ** correlation_loss(student[:, others], teacher[:, others]).item()
    assert loss.item() == pytest.approx(math.log2(rest + 1), abs=1e-5)
    assert student.grad[:, 1].abs().max() == 0
    assert student.grad[:, others].isfinite().all() and student.grad[:, others].abs().max() > 0


def test_gradient_of_the_correlation_loss():
    student, teacher = random(6, 4, requires_grad=True), random(6, 4, seed=1)
    assert torch.autograd.gradcheck(lambda s: correlation_loss(s, teacher), student)


@pytest.mark.parametrize(("student", "teacher"), [((4, 3), (4, 2)), ((1, 3), (1, 3))])
def test_features_that_cannot_be_correlated_are_named(student, teacher):
    with pytest.raises(MethodError, match="correlation loss needs the same features of two or more samples"):
        correlation_loss(torch.ones(student), torch.ones(teacher))


def test_mutual_information_loss_is_a_difference_of_squared_eigenvalues():
    student, teacher = random(2, 5, 3), random(2, 5, 7, seed=1)
    expected = 0.0
    for s, t in zip(student.numpy(), teacher.numpy(), strict=True):
        gram = np.zeros((2, 5, 5))
        for i in range(5):
            for j in range(5):
                cosine = [f[i] @ f[j] / np.linalg.norm(f[i]) / np.linalg.norm(f[j]) for f in (s, t)]
                gram[:, i, j] = cosine[0], cosine[0] * cosine[1]
        alone, joint = (np.linalg.eigvalsh(g / np.trace(g)) for g in gram)
        expected += (np.sum(alone**2) - np.sum(joint**2)) / 2
    assert mutual_information_loss(student, teacher).item() == pytest.approx(expected, abs=1e-12)


def test_extremes_of_the_mutual_information_loss():
    unrelated = torch.eye(4)[None]
    collapsed = torch.ones(1, 4, 2)
    classes = torch.eye(2)[[0, 1, 1, 0]][None]
    assert mutual_information_loss(classes, classes).item() == pytest.approx(0, abs=1e-6)
    assert mutual_information_loss(collapsed, unrelated).item() == pytest.approx(1 - 1 / 4)
    student = random(1, 20, 4)
    near = mutual_information_loss(student, student + 0.1 * random(1, 20, 4, seed=1))
    assert near < 0.8 * mutual_information_loss(student, random(1, 20, 4, seed=2))


def test_groups_are_never_compared_with_each_other():
    student, teacher = random(2, 5, 3), random(2, 5, 3, seed=1)
    alone = [mutual_information_loss(student[[i]], teacher[[i]]) for i in range(2)]
    torch.testing.assert_close(mutual_information_loss(student, teacher), sum(alone) / 2)


def test_gradient_of_the_mutual_information_loss():
    student, teacher = random(2, 5, 3, requires_grad=True), random(2, 5, 4, seed=1)
    assert torch.autograd.gradcheck(lambda s: mutual_information_loss(s, teacher), student)


def test_features_that_are_all_zero_have_no_gradient():
    student = torch.zeros(1, 5, 3, requires_grad=True)
    loss = mutual_information_loss(student, torch.randn(1, 5, 4))
    loss.backward()
    assert loss == 0 and student.grad.abs().max() == 0
