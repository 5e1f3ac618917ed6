"""Where the counters of multiply-adds differ, against arithmetic by hand; parameters by module."""

import pytest
import torch
import torch.nn.functional as F
from counted import gmacs_by_step
from torch import nn

import methods
from bench.measure.complexity import (
    complexity,
    frame_gmacs,
    gmacs_fvcore,
    gmacs_thop,
    gmacs_torch,
    parameter_count,
    parameters,
)
from bench.measure.operators import operators, unseen_by_thop, unseen_by_torch
from bench.measure.scene import Scene

SMALL = {"height": 64, "width": 96}
IMAGE = torch.zeros(1, 4, 10, 10)
COUNTERS = [gmacs_torch, gmacs_fvcore, gmacs_thop]


class Upsample(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=2, mode="bilinear")


class HalfUsed(nn.Module):
    """Two convolutions of which one has no influence on the result."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Conv2d(4, 1, 1, bias=False), nn.Conv2d(4, 1, 1, bias=False)

    def forward(self, x):
        self.idle(x)
        return self.used(x)


@pytest.mark.parametrize(
    ("module", "an_element", "elements"),
    [
        (nn.BatchNorm2d(4).eval(), (0, 2, 4), 4 * 10 * 10),
        (nn.GroupNorm(2, 4), (0, 5, 4), 4 * 10 * 10),
        (nn.LayerNorm(10), (0, 5, 4), 4 * 10 * 10),
        (Upsample(), (0, 4, 0), 4 * 20 * 20),
        (nn.Softmax(1), (0, 0, 2.75), 4 * 10 * 10),  # called as a function thop does not see it either
        (HalfUsed(), (2 * 4, 4, 2 * 4), 10 * 10),  # fvcore traces
    ],
    ids=["batch norm", "group norm", "layer norm", "bilinear upsampling", "softmax", "dead code"],
)
def test_what_the_counters_differ_in(module, an_element, elements):
    counted = [count(module, IMAGE) * 1e9 / elements for count in COUNTERS]
    assert counted == pytest.approx(list(an_element))


def test_operators_that_torch_has_no_formula_for():
    def compute():
        x = torch.zeros(2, 3).view(3, 2).t() @ torch.zeros(3, 5)  # a view and a product: (2, 5)
        x.relu_()
        return (x.relu() + 1).softmax(-1)

    found = unseen_by_torch(compute)
    assert found.pop("zeros", (2, 0))[0] == 2
    assert found == {"relu": (2, 20), "_softmax": (1, 10), "add": (1, 10)}


def test_modules_that_thop_has_no_rule_for():
    assert unseen_by_thop(nn.Sequential(nn.Conv2d(1, 1, 1), nn.SiLU(), nn.BatchNorm2d(1))) == ["SiLU"]


def test_what_of_stcn_is_not_counted():
    method = methods.create("stcn", width=0.25)
    found = operators(method, Scene(**SMALL))
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in method.modules())
    assert found.torch_unseen["native_batch_norm"][0] == norms
    assert {"topk", "_softmax", "upsample_bilinear2d", "relu"} <= found.torch_unseen.keys()
    assert not {"convolution", "bmm", "mm", "addmm", "view", "empty"} & found.torch_unseen.keys()
    assert {"topk", "softmax"} <= found.fvcore_unseen.keys()
    # What fvcore counts of one read and one written frame is what its stages add up to.
    stages = complexity(method, Scene(**SMALL)).counters["fvcore"]
    assert sum(found.fvcore_counted.values()) == pytest.approx(sum(stages.values()))
    elements = found.torch_unseen["native_batch_norm"][1]
    assert found.fvcore_counted["batch_norm"] * 1e9 == pytest.approx(2 * elements)


def test_the_stages_differ_by_the_element_wise_layers_alone():
    method = methods.create("stcn", width=0.25)
    counters = complexity(method, Scene(**SMALL)).counters
    assert counters["torch"] == gmacs_by_step(method, Scene(**SMALL))
    sizes = []
    for norm in (m for m in method.key_encoder.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.register_forward_hook(lambda _, inputs, output: sizes.append(output.numel()))
    method.encode_query(torch.zeros(1, 3, 64, 96))
    encode = {name: steps["query_encode"] * 1e9 for name, steps in counters.items()}
    assert encode["fvcore"] - encode["torch"] == pytest.approx(2 * sum(sizes))
    assert encode["thop"] - encode["torch"] == pytest.approx(4 * sum(sizes))
    assert len({round(steps["memory_read"], 12) for steps in counters.values()}) == 1


def test_a_frame_of_stcn_by_objects_and_memory_is_made_of_the_official_figures():
    (one,) = frame_gmacs(methods.create("stcn"), Scene(), objects=(1,), memory_frames=(1,))
    flops = 71.4 + 3.0 + 198.9 + 85.6 / 5  # key encoder, memory read, decoder, a fifth of a value encoder
    assert 2 * one["gmacs"] == pytest.approx(flops, abs=0.2)


def test_a_frame_costs_more_with_every_object_and_memory_frame():
    method = methods.create("mobilevos_r18_no_aspp", width=0.25, queue_length=3)
    cells = frame_gmacs(method, Scene(**SMALL), objects=(1, 2), memory_frames=(1, 2, 4))
    assert [(c["objects"], c["memory_frames"]) for c in cells] == [(1, 1), (1, 2), (2, 1), (2, 2)]  # 4 do not fit
    assert cells[3]["gmacs"] == pytest.approx(complexity(method, Scene(**SMALL, objects=2, memory_frames=2)).gmacs)
    costs = [c["gmacs"] for c in cells]
    assert costs[0] < costs[1] < costs[2] < costs[3]


def test_parameters_by_module_add_up():
    method = methods.create("stcn")
    found = parameter_count(method)
    assert list(found.modules) == ["key_encoder", "value_encoder", "key_proj", "key_comp", "decoder"]
    assert sum(found.modules.values()) == found.total == parameters(method)
    norms = [m for m in method.modules() if isinstance(m, nn.BatchNorm2d)]
    assert found.buffers == sum(2 * norm.num_features + 1 for norm in norms)  # mean, variance, count of batches


def test_shared_own_and_frozen_parameters():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(7))
            self.first = nn.Linear(3, 5, bias=False)
            self.second = nn.Linear(3, 5)
            self.second.weight = self.first.weight
            self.second.bias.requires_grad_(False)

    found = parameter_count(Shared())
    assert (found.total, found.trainable, found.buffers) == (27, 22, 0)
    assert found.modules == {"first": 15, "second": 5, "(own)": 7}
