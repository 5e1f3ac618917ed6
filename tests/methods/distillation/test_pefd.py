"""PEFD against loops over pixels and projectors."""

import math

import pytest
import torch

from methods import MethodError
from methods.distillation.pefd import ProjectorEnsemble, direction_loss


def random(*shape, seed=0, **kw):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **kw)


@pytest.mark.parametrize("count", [1, 3])
def test_the_ensemble_is_the_mean_of_rectified_linear_maps(count):
    torch.manual_seed(0)
    ensemble, student = ProjectorEnsemble(3, 5, count).double(), random(2, 3, 4, 6)
    projected = ensemble(student)
    assert projected.shape == (2, 5, 4, 6)
    for y in range(4):
        for x in range(6):
            each = [(p.weight[:, :, 0, 0] @ student[1, :, y, x] + p.bias).clamp(min=0) for p in ensemble.projectors]
            torch.testing.assert_close(projected[1, :, y, x], sum(each) / count)


def test_three_projectors_that_start_apart():
    weights = [p.weight for p in ProjectorEnsemble(4, 4).projectors]
    assert len(weights) == 3
    assert not weights[0].equal(weights[1]) and not weights[1].equal(weights[2])


def test_the_ensemble_is_not_one_linear_map():
    ensemble, a, b = ProjectorEnsemble(3, 5).double(), random(1, 3, 1, 1), random(1, 3, 1, 1, seed=1)
    with torch.no_grad():
        middle = (ensemble(a) + ensemble(b)) / 2
        assert not torch.allclose(ensemble((a + b) / 2), middle, atol=1e-3)


def test_the_loss_is_one_minus_the_mean_cosine():
    projected, teacher = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    total = 0.0
    for o in range(2):
        for y in range(4):
            for x in range(5):
                p, t = projected[o, :, y, x].tolist(), teacher[o, :, y, x].tolist()
                dot = sum(a * b for a, b in zip(p, t, strict=True))
                total += 1 - dot / math.hypot(*p) / math.hypot(*t)
    assert direction_loss(projected, teacher).item() == pytest.approx(total / 40)


def test_the_loss_is_half_the_squared_distance_of_unit_features():
    """The paper writes it as a distance, its code as a cosine."""
    projected, teacher = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    p, t = (x / x.norm(dim=1, keepdim=True) for x in (projected, teacher))
    torch.testing.assert_close(direction_loss(projected, teacher), (p - t).pow(2).sum(1).mean() / 2)


def test_only_the_direction_counts():
    teacher = random(1, 3, 2, 2)
    assert direction_loss(5 * teacher, teacher).item() == pytest.approx(0, abs=1e-12)
    assert direction_loss(-teacher, teacher).item() == pytest.approx(2)
    assert direction_loss(torch.zeros_like(teacher), teacher) == 1


def test_gradients_reach_the_student_and_every_projector():
    torch.manual_seed(1)
    ensemble, student = ProjectorEnsemble(2, 3).double(), random(1, 2, 3, 3, requires_grad=True)
    teacher = random(1, 3, 3, 3, seed=1).abs()
    assert torch.autograd.gradcheck(lambda s: direction_loss(ensemble(s) + 0.1, teacher), student)
    direction_loss(ensemble(student), teacher).backward()
    assert student.grad.abs().max() > 0
    assert all(p.weight.grad.abs().max() > 0 for p in ensemble.projectors)


def test_mistakes_are_named():
    with pytest.raises(MethodError, match=r"projected student \(1, 3, 4, 4\) and teacher \(1, 5, 4, 4\)"):
        direction_loss(torch.ones(1, 3, 4, 4), torch.ones(1, 5, 4, 4))
    with pytest.raises(MethodError, match="0 projectors"):
        ProjectorEnsemble(3, 3, 0)
