"""One entry in a table makes a method, and one makes a backbone that students may have."""

import sys

import pytest
import torch

import methods
from bench.measure.complexity import parameter_count
from methods.backbones import table
from methods.conformance import answers, first_mask, video
from methods.registry import METHODS

TOY = """
from torch import nn

from methods import Entry, register
from methods.backbones.table import Backbone, Heads, register_backbone


class Toy(nn.Module):
    imagenet_ignored = ()

    def __init__(self, inputs, width):
        super().__init__()
        self.channels = tuple(round(channels * width) for channels in (8, 16, 32))
        f4, f8, f16 = self.channels
        self.first = nn.Conv2d(inputs, f4, 7, 4, 3)
        self.second, self.third = nn.Conv2d(f4, f8, 3, 2, 1), nn.Conv2d(f8, f16, 3, 2, 1)

    def forward(self, x):
        f4 = self.first(x).relu()
        f8 = self.second(f4).relu()
        return f4, f8, self.third(f8).relu()


register_backbone("toy", Backbone(Toy, Heads(key=32, value=32, up8=16, up4=16)))
register("mobilevos_toy", Entry("methods.mobilevos.network:MobileVOS", {"backbone": "toy", "aspp": False}))
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The name of a student of a module that somebody else wrote."""
    (tmp_path / "toy_backbone.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(table, "BACKBONES", dict(table.BACKBONES))
    added = set(METHODS)
    __import__("toy_backbone")
    yield "mobilevos_toy"
    del sys.modules["toy_backbone"]
    for name in set(METHODS) - added:
        del METHODS[name]


def test_a_new_backbone_with_its_student_is_one_module(toy):
    torch.manual_seed(0)
    student = methods.create(toy)
    found = answers(student, video(), first_mask())
    assert [answer.shape for answer in found] == [(3, 50, 70)] * 2
    assert toy in methods.available() and methods.is_trainable(toy)
    counts = [parameter_count(each).total for each in (student, methods.create(toy, width=2.0))]
    assert counts[0] == sum(p.numel() for p in student.parameters()) > 0 and counts[1] > 2 * counts[0]
    clip = video(3, 48, 64)[None]
    masks = torch.zeros(1, 1, 48, 64)
    masks[..., 8:40, 8:40] = 1
    rollout = student.train().roll_out(clip, masks, torch.ones(1, 1, dtype=torch.bool))
    rollout.logits.sum().backward()
    assert all(part.grad is not None for part in student.backbones["toy"].parameters())


def test_a_student_of_a_new_backbone_lends_and_borrows_encoders(toy):
    student = methods.create(toy, encoder="mobilevos_mnv2", encoder_width=0.25)
    assert list(student.backbones) == ["mobilenet_v2"]
    assert list(methods.create("mobilevos_r18", width=0.25, encoder=toy).backbones) == ["toy"]


def test_a_name_that_is_taken_is_refused(toy):
    with pytest.raises(methods.MethodError, match="there is a method 'stcn' already"):
        methods.register("stcn", methods.entry("stcn"))
    with pytest.raises(methods.MethodError, match="there is a backbone 'toy' already"):
        table.register_backbone("toy", table.BACKBONES["toy"])


def test_a_backbone_that_is_not_there_is_named():
    with pytest.raises(methods.MethodError, match="unknown backbone 'vgg'; known: resnet18, mobilenet_v2"):
        methods.create("mobilevos_r18", backbone="vgg")


@pytest.mark.parametrize("name", ["deaot_t", "mobile_sam"])
def test_an_encoder_that_is_not_there_is_named(name):
    with pytest.raises(methods.MethodError, match="unknown encoder 'vgg'; known: "):
        methods.create(name, encoder="vgg")


@pytest.mark.parametrize("name", methods.available())
def test_every_inference_option_of_an_entry_is_an_option_of_the_method(name):
    options = dict.fromkeys(methods.entry(name).inference)
    with pytest.raises(methods.MethodError, match="'colour'"):  # the first that is not known is named
        methods.create(name, **options, colour="red")


def test_weights_of_a_network_stay_where_only_its_inference_differs():
    """Options that are learnt differ from those of inference alone, for each method by itself."""
    assert "top_k" in methods.entry("stcn").inference
    assert "top_k" not in methods.entry("mobilevos_r18").inference
    own = methods.entry("my_file.py:MyMethod")
    assert "top_k" in own.inference and own.others and not own.needs_weights
    assert "queue_length" not in own.inference  # of how clips are remembered
