"""Collecting what submodules return, and leaving no trace."""

import pytest
import torch
from torch import nn

from methods import MethodError
from methods.deaot.deformable import DeformableAttention
from methods.distillation.cka import attention_loss
from methods.distillation.hooks import attention_maps


class Pair(nn.Module):
    """Returns a tuple, as attention that hands out its weights does."""

    def forward(self, x):
        return x * 2, x * 3


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 2), nn.Softmax(-1))])
        self.pair = Pair()

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.pair(x)[0]


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_outputs_come_by_name_in_order_of_the_calls():
    model, frames = Network(), torch.randn(3, 1, 3)
    with attention_maps(model, ["blocks.1.1", "blocks.0"]) as maps:
        for frame in frames:
            model(frame)
    assert list(maps) == ["blocks.1.1", "blocks.0"]
    assert [m.equal(model.blocks[0](f)) for m, f in zip(maps["blocks.0"], frames, strict=True)] == [True] * 3
    assert all(m.sum().item() == pytest.approx(1) for m in maps["blocks.1.1"])


def test_gradients_flow_through_a_students_maps():
    model = Network()
    with attention_maps(model, ["blocks.1.1"]) as maps:
        model(torch.randn(4, 3))
    maps["blocks.1.1"][0][:, 0].sum().backward()
    assert model.blocks[0].weight.grad.abs().max() > 0


def test_the_model_answers_the_same_and_is_left_as_it_was():
    model, x = Network(), torch.randn(4, 3)
    before = model(x)
    with attention_maps(model, ["pair", "blocks.0"]):
        assert hooks(model) == 2
        assert model(x).equal(before)
    assert hooks(model) == 0


def test_hooks_are_gone_after_an_exception_and_others_hooks_stay():
    model = Network()
    model.pair.register_forward_hook(lambda *_: None)
    with pytest.raises(RuntimeError), attention_maps(model, ["blocks.0", "pair"]) as maps:
        model(torch.randn(4, 3))
        model(torch.randn(4, 99))
    assert hooks(model) == 1
    assert len(maps["blocks.0"]) == 1
    model(torch.randn(4, 3))
    assert len(maps["blocks.0"]) == 1


def test_blocks_nest():
    student, x = Network(), torch.randn(4, 3)
    with attention_maps(student, ["pair"]) as outer:
        with attention_maps(student, ["pair"]) as inner:
            student(x)
        student(x)
    assert (len(inner["pair"]), len(outer["pair"])) == (1, 2)


def test_an_unknown_name_is_named_before_any_hook_is_set():
    model = Network()
    close = pytest.raises(MethodError, match=r"Network has no module 'block.0'; did you mean blocks.0")
    with close, attention_maps(model, ["pair", "block.0"]):
        pass
    far = pytest.raises(MethodError, match=r"no module 'zzz'; did you mean blocks, blocks.0")
    with far, attention_maps(model, ["zzz"]):
        pass
    assert hooks(model) == 0


def test_a_student_learns_a_teachers_attention():
    """All parts together: deformable student with one memory frame, plain teacher with three."""
    torch.manual_seed(0)
    student, teacher = DeformableAttention(8, groups=2, factor=2), DeformableAttention(8, groups=2, factor=1)
    query, frames = torch.randn(2, 8, 6, 6, requires_grad=True), [torch.randn(2, 8, 6, 6) for _ in range(3)]
    with attention_maps(teacher, ["weights"]) as theirs, torch.no_grad():
        teacher(query, frames, frames)
    with attention_maps(student, ["weights"]) as ours:
        student(query, frames[:1], frames[:1])
    assert ours["weights"][0].shape == (2, 36, 9) and theirs["weights"][0].shape == (2, 36, 108)
    loss = attention_loss(ours["weights"][0], theirs["weights"][0])
    loss.backward()
    assert 0 < loss < 1 and query.grad.abs().max() > 0
    assert student.sampler.offsets[-1].weight.grad.abs().max() > 0
