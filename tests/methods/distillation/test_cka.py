"""CKA against its definition with explicit centring matrices, its invariances, and the paper's misprint."""

import math

import pytest
import torch

from methods import MethodError
from methods.distillation.cka import attention_kl, attention_loss, linear_cka


def random(*shape, seed=0, **kw):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **kw)


def hsic(k, l):  # noqa: E741
    n = len(k)
    h = torch.eye(n, dtype=k.dtype) - 1 / n
    return torch.trace(k @ h @ l @ h) / (n - 1) ** 2


def definition(x, y):
    k, l = x @ x.T, y @ y.T  # noqa: E741
    return hsic(k, l) / (hsic(k, k) * hsic(l, l)).sqrt()


@pytest.mark.parametrize(("n", "d1", "d2"), [(10, 3, 4), (5, 20, 7), (2, 1, 1), (6, 6, 60)])
def test_kernels_and_covariances_give_the_definition(n, d1, d2):
    x, y = random(3, n, d1) + 1, 100 * random(3, n, d2, seed=1)
    expected = torch.stack([definition(a, b) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(linear_cka(x, y), expected, atol=1e-6, rtol=0)


def test_equation_8_as_printed_is_one_for_anything():
    x, y = random(9, 4), random(9, 5, seed=1)
    cross = hsic(x @ x.T, y @ y.T)
    assert (cross / (cross * cross).sqrt()).item() == pytest.approx(1)
    assert linear_cka(x[None], y[None]).item() < 0.7


def test_rotation_scale_and_shift_of_the_features_do_not_matter_but_stretching_does():
    x, y = random(1, 12, 5), random(1, 12, 3, seed=1)
    rotation = torch.linalg.qr(random(5, 5, seed=2)).Q
    torch.testing.assert_close(linear_cka(-7 * x @ rotation + random(5, seed=3), y), linear_cka(x, y))
    torch.testing.assert_close(linear_cka(x, 0.01 * x @ rotation), torch.ones(1, dtype=torch.float64))
    stretched = x * torch.tensor([9.0, 1, 1, 1, 1], dtype=torch.float64)
    assert linear_cka(x, stretched) < 0.95


def test_unrelated_features_have_no_alignment():
    square = torch.tensor([[1.0, 1, -1, -1]]).mT[None]
    alternating = torch.tensor([[1.0, -1, 1, -1]]).mT[None]
    assert linear_cka(square, alternating) == 0
    assert attention_loss(square, alternating) == 1


def test_clips_are_never_compared_with_each_other():
    x, y = random(3, 6, 4), random(3, 6, 5, seed=1)
    torch.testing.assert_close(linear_cka(x, y), torch.cat([linear_cka(x[[i]], y[[i]]) for i in range(3)]))


def test_the_loss_falls_towards_the_teachers_attention():
    teacher = (3 * random(2, 8, 24)).softmax(-1)
    student = (0.1 * random(2, 8, 8, seed=1)).requires_grad_()
    values = []
    for _ in range(30):
        loss = attention_loss(student.softmax(-1), teacher)
        values.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, student)
        student = (student - 20 * gradient).detach().requires_grad_()
    assert 0 < values[-1] < 0.5 * values[0] < 0.5  # adding the similarity, as in algorithm 1, would raise it


@pytest.mark.parametrize("samples", [5, 6])  # by kernels, by covariances
def test_gradient(samples):
    x, y = random(2, samples, 3, requires_grad=True), random(2, samples, 4, seed=1)
    assert torch.autograd.gradcheck(lambda x: linear_cka(x, y), x)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
@pytest.mark.parametrize("keys", [7, 70])  # by covariances, by kernels
def test_attention_that_is_the_same_for_all_queries_counts_as_unrelated(keys, value):
    constant = torch.full((1, 30, keys), value, requires_grad=True)
    cka = linear_cka(constant, random(1, 30, 5).float())
    cka.sum().backward()
    assert cka == 0 and constant.grad.abs().max() == 0


def test_nearly_uniform_attention_in_single_precision():
    """At 900 keys a weight is about 1e-3, and what varies is smaller: its fourth powers must not vanish."""
    scores = 1e-2 * random(1, 60, 900)
    student, teacher = scores.softmax(-1), (scores + 1e-2 * random(1, 60, 900, seed=1)).softmax(-1)
    expected = definition(student[0], teacher[0]).item()
    assert linear_cka(student.float(), teacher.float()).item() == pytest.approx(expected, abs=1e-3)
    assert linear_cka(1e-9 * student.float(), teacher.float()).item() == pytest.approx(expected, abs=1e-3)
    assert linear_cka(student.bfloat16(), teacher.bfloat16()).dtype == torch.float32


def test_samples_that_do_not_match_are_named():
    with pytest.raises(MethodError, match=r"got \(1, 4, 3\) and \(1, 5, 3\)"):
        linear_cka(torch.ones(1, 4, 3), torch.ones(1, 5, 3))


def test_kl_with_the_same_keys_is_torchs():
    student, teacher = random(2, 6, 6).softmax(-1), random(2, 6, 6, seed=1).softmax(-1)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(teacher), torch.distributions.Categorical(student)
    ).mean()
    torch.testing.assert_close(attention_kl(student, teacher), expected)
    assert attention_kl(teacher, teacher).abs() < 1e-12


def test_kl_takes_the_teachers_first_frame():
    student = torch.tensor([[[0.5, 0.5]] * 2])
    teacher = torch.tensor([[[0.1, 0.3, 0.6, 0.0]] * 2])  # two frames of two pixels
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert attention_kl(student, teacher).item() == pytest.approx(expected)


def test_kl_gives_a_pixels_weight_to_the_nearest_point_of_a_smaller_grid():
    """5 x 5 pixels and 2 x 2 points in their corners: rows and columns 0 to 2 are nearer to the first."""
    teacher = random(1, 25, 25).softmax(-1)
    picture = teacher.view(1, 25, 5, 5)
    rows = torch.stack([picture[:, :, :3].sum(2), picture[:, :, 3:].sum(2)], 2)
    student = torch.stack([rows[..., :3].sum(3), rows[..., 3:].sum(3)], 3).flatten(2)
    assert attention_kl(student, teacher).abs() < 1e-12


def test_kl_stays_finite_where_a_weight_is_zero():
    student = torch.tensor([[[1.0, 0.0]] * 2], requires_grad=True)
    loss = attention_kl(student, torch.tensor([[[0.5, 0.5, 0.0, 0.0]] * 2]))
    loss.backward()
    assert loss.isfinite() and student.grad.isfinite().all()
    nowhere = attention_kl(student, torch.tensor([[[0.0, 0.0, 0.5, 0.5]] * 2]))  # nothing to learn from
    assert nowhere == 0


@pytest.mark.parametrize(("keys", "shape"), [(4, (1, 4, 7)), (4, (1, 5, 5)), (3, (1, 4, 4))])
def test_kl_names_maps_that_it_cannot_compare(keys, shape):
    with pytest.raises(MethodError, match=rf"student \(1, 4, {keys}\) and teacher .*: use CKA"):
        attention_kl(torch.ones(1, 4, keys), torch.ones(shape))
