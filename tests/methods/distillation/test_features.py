"""Hints and attention transfer against loops, their invariances and finite differences."""

import pytest
import torch

from methods import MethodError
from methods.distillation.features import attention_transfer, hint_loss


def random(*shape, seed=0, **kw):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **kw)


def test_hint_loss_is_the_mean_squared_difference():
    student, teacher = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    pairs = zip(student.flatten().tolist(), teacher.flatten().tolist(), strict=True)
    expected = sum((s - t) ** 2 for s, t in pairs) / (2 * 3 * 4 * 5)
    assert hint_loss(student, teacher).item() == pytest.approx(expected)
    assert hint_loss(student, student + 3).item() == pytest.approx(9)
    assert hint_loss(student, student) == 0


def test_attention_transfer_compares_normalised_maps_of_energy():
    student, teacher = random(2, 3, 4, 5), random(2, 7, 4, 5, seed=1)
    expected = 0.0
    for s, t in zip(student, teacher, strict=True):
        q = [[float((f[:, y, x] ** 2).sum()) for y in range(4) for x in range(5)] for f in (s, t)]
        length = [sum(v**2 for v in map_) ** 0.5 for map_ in q]
        expected += sum((a / length[0] - b / length[1]) ** 2 for a, b in zip(*q, strict=True)) / 2
    assert attention_transfer(student, teacher).item() == pytest.approx(expected)


def test_attention_transfer_ignores_scale_sign_and_width():
    student, teacher = random(2, 3, 4, 4), random(2, 3, 4, 4, seed=1)
    scale = torch.tensor([0.1, -200.0]).view(2, 1, 1, 1)
    torch.testing.assert_close(
        attention_transfer(scale * student, 7 * teacher), attention_transfer(student, teacher)
    )
    assert attention_transfer(student, student) == 0
    assert attention_transfer(student, torch.cat([student, student], 1)) < 1e-12


def test_maps_that_look_at_different_places_cost_two():
    left, right = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    left[..., :2], right[..., 2:] = 1, 1
    assert attention_transfer(left, right).item() == pytest.approx(2)


def test_gradients():
    student, teacher = random(2, 3, 2, 3, requires_grad=True), random(2, 3, 2, 3, seed=1)
    assert torch.autograd.gradcheck(lambda s: hint_loss(s, teacher), student)
    assert torch.autograd.gradcheck(lambda s: attention_transfer(s, random(2, 5, 2, 3, seed=2)), student)


def test_a_map_of_zeros_has_no_gradient():
    student = torch.zeros(1, 2, 3, 3, requires_grad=True)
    attention_transfer(student, torch.randn(1, 2, 3, 3)).backward()
    assert student.grad.abs().max() == 0


def test_maps_that_do_not_fit_are_named():
    with pytest.raises(MethodError, match=r"student \(1, 2, 4, 4\) and teacher \(1, 3, 4, 4\)"):
        hint_loss(torch.ones(1, 2, 4, 4), torch.ones(1, 3, 4, 4))
    with pytest.raises(MethodError, match=r"student \(1, 2, 2, 8\) and teacher \(1, 2, 4, 4\): resize"):
        attention_transfer(torch.ones(1, 2, 2, 8), torch.ones(1, 2, 4, 4))
