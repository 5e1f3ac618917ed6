"""Costs against what is known of the networks, against arithmetic by hand, and against each other."""

import pytest
import torch
from counted import gmacs_by_step
from torch import nn

import methods
from bench.measure.complexity import complexity, gmacs_fvcore, gmacs_thop, gmacs_torch, parameters
from bench.measure.scene import Scene, steady_memory_frames
from bench.system.errors import ConfigError
from methods.memory import MemoryPolicy
from methods.space_time import writes_per_frame

SMALL = {"height": 64, "width": 96}


def student(**options):
    return methods.create("mobilevos_r18_no_aspp", width=0.25, **options)


def gflops(steps: dict[str, float]) -> dict[str, float]:
    """The official figures count 2 FLOPs a multiply-add and have one decimal."""
    return {name: round(2 * gmacs, 1) for name, gmacs in steps.items()}


@pytest.mark.parametrize("count", [gmacs_torch, gmacs_fvcore, gmacs_thop])
def test_one_convolution_by_hand(count):
    conv = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
    macs = (3 * 3 * 3) * 8 * (16 * 24)  # kernel x output channels x output pixels
    assert count(conv, torch.zeros(1, 3, 32, 48)) * 1e9 == pytest.approx(macs)


@pytest.mark.parametrize("count", [gmacs_torch, gmacs_fvcore, gmacs_thop])
def test_one_matrix_product_by_hand(count):
    class Product(nn.Module):
        def forward(self, a, b):
            return a @ b

    assert count(Product(), torch.zeros(5, 7), torch.zeros(7, 11)) * 1e9 == pytest.approx(5 * 7 * 11)


def test_parameters_are_trainable_and_frozen_ones_but_no_buffers():
    norm = nn.BatchNorm2d(6)
    norm.weight.requires_grad_(False)
    assert parameters(norm) == 12


def test_parameters_of_stcn_are_the_official_ones():
    assert parameters(methods.create("stcn")) == 54_434_180


@pytest.mark.parametrize(("objects", "decode"), [(1, 198.9), (2, 336.6), (3, 474.3)])
def test_stages_of_stcn_are_the_official_ones(objects, decode):
    stages = gflops(gmacs_by_step(methods.create("stcn"), Scene(objects=objects, memory_frames=1)))
    assert stages["query_encode"] == 71.4
    assert stages["memory_encode"] == pytest.approx(85.6 * objects, abs=0.1 * objects)
    assert stages["decode"] == decode


def test_stcn_reads_3_gflop_a_stored_frame():
    stcn = methods.create("stcn")
    one, eight = (gmacs_by_step(stcn, Scene(memory_frames=n))["memory_read"] for n in (1, 8))
    assert round(2 * one, 1) == 3.0
    assert eight == pytest.approx(8 * one)


def test_memory_read_by_hand():
    """Similarity takes Ck and readout Cv multiply-adds for each pair of query and memory positions."""
    method = student()
    objects, frames, positions = 3, 2, (64 // 16) * (96 // 16)
    key, value = method.key_proj.out_channels, method.context_proj.out_channels
    macs = (key + objects * value) * frames * positions**2
    assert gmacs_by_step(method, Scene(**SMALL, objects=objects))["memory_read"] * 1e9 == pytest.approx(macs)


def test_three_counters_agree_up_to_the_element_wise_layers():
    cost = complexity(methods.create("stcn", width=0.25), Scene(**SMALL))
    assert cost.gmacs_fvcore == pytest.approx(cost.gmacs, rel=0.02)
    assert cost.gmacs_thop == pytest.approx(cost.gmacs, rel=0.03)
    assert cost.gmacs_fvcore > cost.gmacs  # nothing traced away; batch normalisation on top
    assert cost.gmacs_thop > cost.gmacs


def test_the_memory_encoder_counts_as_often_as_it_runs():
    often, seldom = (
        complexity(student(write_rule="first+every", memory_every=every), Scene(**SMALL)) for every in (1, 4)
    )
    write = often.stages["memory_encode"]
    assert often.gmacs == pytest.approx(sum(often.stages.values()))
    assert often.gmacs - seldom.gmacs == pytest.approx(0.75 * write)
    assert often.gmacs_fvcore - seldom.gmacs_fvcore == pytest.approx(0.75 * write, rel=0.03)  # norms on top
    assert often.gmacs_thop - seldom.gmacs_thop == pytest.approx(0.75 * write, rel=0.06)


@pytest.mark.parametrize(
    ("policy", "share"),
    [
        (MemoryPolicy(every=5), 0.2),
        (MemoryPolicy(every=5, include_last=True), 1.0),  # every frame is readable by the next
        (MemoryPolicy(every=1, capacity=1), 0.0),  # the annotated frame only
    ],
)
def test_writes_per_frame(policy, share):
    assert writes_per_frame(policy) == share


def test_memory_in_steady_state():
    bounded, unbounded = MemoryPolicy(capacity=2), MemoryPolicy(capacity=None)
    assert steady_memory_frames(bounded) == 2
    assert steady_memory_frames(unbounded) == 8
    assert steady_memory_frames(unbounded, 30) == 30


def test_eight_frames_are_what_davis_2016_val_finds_in_memory():
    lengths = [50, 80, 84, 90, 75, 40, 104, 90, 60, 52, 50, 90, 50, 50, 49, 40, 80, 100, 43, 99]
    found = [1 + (t - 1) // 5 for length in lengths for t in range(1, length)]
    assert round(sum(found) / len(found)) == steady_memory_frames(MemoryPolicy(every=5))


def test_frames_are_padded_as_the_method_pads_them():
    assert gmacs_by_step(student(), Scene(50, 81)) == gmacs_by_step(student(), Scene(64, 96))


def test_the_method_is_left_as_it_was():
    method = student().train()
    frame, mask = torch.rand(3, 32, 32), torch.ones(32, 32, dtype=torch.long)
    method.start(frame, mask)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert complexity(method, Scene(**SMALL)).memory_frames == 2
    assert method.training
    assert method.memory_frames == 1
    assert all(parameter.requires_grad for parameter in method.parameters())
    after = method.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory_frames": 3}, "memory_frames=3 do not fit in a memory of 2 frames"),
        ({"memory_frames": 0}, "memory_frames=0"),
        ({"objects": 0}, "objects=0"),
    ],
)
def test_impossible_settings_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        complexity(student(), Scene(**SMALL, **arguments))
