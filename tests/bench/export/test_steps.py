"""Which steps are exported for a phone; what they compute is tested in tests/methods/test_steps.py."""

import pytest
import torch

import methods
from bench.export.steps import example_steps
from bench.measure.scene import Scene
from bench.system.errors import ConfigError


def student(name: str = "mobilevos_r18", **options):
    torch.manual_seed(0)
    return methods.create(name, width=0.25, **options)


def test_the_memory_is_as_full_as_in_a_long_video_or_as_asked():
    def places(method, **size) -> int:
        return example_steps(method, Scene(32, 48, 2, **size))[1].inputs["value"].shape[2] // (2 * 3)

    assert places(student()) == 2
    assert places(student(), memory_frames=1) == 1
    assert places(student(queue_length=None)) == 8
    with pytest.raises(ConfigError, match="memory_frames=3 do not fit"):
        places(student(), memory_frames=3)


@pytest.mark.parametrize("name", ["mobilevos_r18", "deaot_t"])
def test_examples_lie_in_memory_as_files_hold_them_and_nothing_learns(name):
    method = student(name).train()
    for step in example_steps(method, Scene(32, 48, 2)):
        assert all(x.is_contiguous() and not x.requires_grad for x in step.inputs.values())
    assert not method.training


def test_what_has_no_known_steps_is_told():
    with pytest.raises(ConfigError, match="CopyFirstMask cannot be exported: it is no network with a memory"):
        example_steps(methods.create("copy_first_mask"), Scene(32, 48, 1))
    with pytest.raises(ConfigError, match="objects=2: give 1 to 1, each gets a stripe"):
        example_steps(student(), Scene(32, 2, 2))
