"""DIST's losses against numpy's correlation, loops over pixels and objects, and finite differences."""

import numpy as np
import pytest
import torch

from methods import MethodError
from methods.distillation.dist import inter_loss, intra_loss


def random(*shape, seed=0, **kw):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **kw)


def dist_loss(student, teacher, valid, tau=1.0):
    return inter_loss(student, teacher, valid, tau) + intra_loss(student, teacher, valid, tau)


VALID = torch.tensor([[True, True, True], [True, False, True], [False, True, False]])  # 3, 2 and 1 objects


def clips(seed=0, **kw):
    """Logits of 3 clips of 2 frames with up to 3 objects, 4 x 5 pixels."""
    return random(3, 2, 4, 4, 5, seed=seed, **kw)


def probabilities(logits, clip, tau):
    """(T, existing channels, H, W) of one clip."""
    channels = [0] + [k + 1 for k in range(3) if VALID[clip, k]]
    scores = np.exp(logits[clip][:, channels].numpy() / tau)
    return scores / scores.sum(1, keepdims=True)


def pearson(x, y):
    return np.corrcoef(x.ravel(), y.ravel())[0, 1]


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_inter_correlates_the_existing_channels_of_each_pixel(tau):
    student, teacher = clips(), clips(seed=1)
    losses = []
    for clip in (0, 1):  # clip 2 has one object
        s, t = (probabilities(x, clip, tau) for x in (student, teacher))
        losses += [1 - pearson(s[i, :, y, x], t[i, :, y, x]) for i in range(2) for y in range(4) for x in range(5)]
    assert inter_loss(student, teacher, VALID, tau).item() == pytest.approx(tau**2 * np.mean(losses), abs=1e-5)


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_intra_correlates_the_pixels_of_each_existing_object_of_a_clip(tau):
    student, teacher = clips(), clips(seed=1)
    losses = []
    for clip in range(3):
        s, t = (probabilities(x, clip, tau) for x in (student, teacher))
        losses += [1 - pearson(s[:, c], t[:, c]) for c in range(s.shape[1])]
    assert len(losses) == 4 + 3 + 2
    assert intra_loss(student, teacher, VALID, tau).item() == pytest.approx(tau**2 * np.mean(losses), abs=1e-6)


def test_identical_logits_cost_nothing_and_a_shift_of_a_pixels_logits_is_no_difference():
    logits = clips()
    shifted = logits + random(3, 2, 1, 4, 5, seed=1)
    for loss in (inter_loss, intra_loss):
        assert loss(logits, shifted, VALID).item() == pytest.approx(0, abs=1e-6)


def test_channels_of_objects_that_do_not_exist_do_not_count():
    student, teacher = clips(), clips(seed=1)
    missing = torch.cat([torch.zeros(3, 1, dtype=torch.bool), ~VALID], 1)[:, None, :, None, None]
    other = torch.where(missing, 100 * clips(seed=2), student).requires_grad_()
    for loss in (inter_loss, intra_loss):
        value = loss(other, teacher, VALID)
        torch.testing.assert_close(value, loss(student, teacher, VALID))
        (gradient,) = torch.autograd.grad(value, other)
        assert gradient[missing.expand_as(gradient)].abs().max() == 0
    padded = torch.cat([student, random(3, 2, 7, 4, 5, seed=3)], 2)  # as with DeAOT's eleven channels
    wide = torch.cat([VALID, torch.zeros(3, 7, dtype=torch.bool)], 1)
    torch.testing.assert_close(
        dist_loss(padded, torch.cat([teacher, random(3, 2, 7, 4, 5)], 2), wide), dist_loss(student, teacher, VALID)
    )


def test_two_channels_correlate_with_one_or_minus_one():
    """Why clips with a single object are left out of the inter loss."""
    s, t = random(50).sigmoid().numpy(), random(50, seed=1).sigmoid().numpy()
    rho = [pearson(np.array([a, 1 - a]), np.array([b, 1 - b])) for a, b in zip(s, t, strict=True)]
    assert np.allclose(np.abs(rho), 1)


def test_clips_with_one_object_are_taught_by_intra_alone():
    student, teacher = clips(requires_grad=True), clips(seed=1)
    (gradient,) = torch.autograd.grad(inter_loss(student, teacher, VALID), student)
    assert gradient[:2].abs().max() > 0 and gradient[2].abs().max() == 0
    (gradient,) = torch.autograd.grad(intra_loss(student, teacher, VALID), student)
    assert gradient[2].abs().max() > 0
    single = torch.tensor([[True, False, False]] * 3)
    nothing = inter_loss(student, teacher, single)
    assert nothing == 0
    torch.testing.assert_close(dist_loss(student, teacher, single), intra_loss(student, teacher, single))


def test_slots_of_different_clips_are_not_pooled():
    """Two clips, each perfectly correlated, but with different scales of confidence: pooled they would not be."""
    teacher = clips()[:2]
    student = teacher.clone()
    student[1, :, 0] += 3.0  # another background level: the objects of clip 1 get smaller probabilities
    valid = torch.ones(2, 3, dtype=torch.bool)
    alone = [intra_loss(student[[i]], teacher[[i]], valid[[i]]) for i in range(2)]
    torch.testing.assert_close(intra_loss(student, teacher, valid), sum(alone) / 2)
    s, t = student.softmax(2).numpy(), teacher.softmax(2).numpy()
    pooled = np.mean([1 - pearson(s[:, :, c], t[:, :, c]) for c in range(4)])
    assert abs(pooled - sum(alone).item() / 2) > 0.01


def test_gradients():
    student, teacher = clips(requires_grad=True), clips(seed=1)
    assert torch.autograd.gradcheck(lambda s: dist_loss(s, teacher, VALID, tau=2.0), student)


def test_pixels_without_preference_have_finite_gradients():
    student = torch.zeros(1, 1, 4, 3, 3, requires_grad=True)
    loss = dist_loss(student, torch.randn(1, 1, 4, 3, 3), torch.ones(1, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == pytest.approx(2) and student.grad.isfinite().all()


def test_half_precision_is_widened():
    student, teacher = clips().bfloat16(), clips(seed=1).bfloat16()
    expected = dist_loss(student.double(), teacher.double(), VALID)
    assert dist_loss(student, teacher, VALID).item() == pytest.approx(expected.item(), abs=1e-4)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(MethodError, match=r"student \(3, 2, 4, 4, 5\), teacher \(3, 2, 4, 4, 4\) and valid"):
        inter_loss(clips(), clips()[..., :4], VALID)
    with pytest.raises(MethodError, match=r"valid \(3, 2\)"):
        intra_loss(clips(), clips(), VALID[:, :2])
