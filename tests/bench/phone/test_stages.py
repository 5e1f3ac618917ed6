"""The stages of a frame compute what the method does, in a form that mobile runtimes do quickly."""

import pytest
import torch

import methods
from bench.errors import ConfigError
from bench.export.stages import aggregate, stages
from methods.interface import one_hot_objects
from methods.masks import pad_to_multiple, soft_aggregate, unpad

STUDENTS = [name for name in methods.available() if name.startswith("mobilevos")]


def student(name: str = "mobilevos_r18", **options):
    torch.manual_seed(0)
    return methods.create(name, width=0.25, **options).eval()


@torch.inference_mode()
def test_the_stages_of_a_frame_give_what_the_method_gives():
    method = student(queue_length=1)
    first, second = torch.rand(2, 3, 50, 75, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(50, 75, dtype=torch.long)
    mask[4:20, 4:20], mask[30:, 40:] = 1, 2
    method.start(first, mask)
    expected = method.step(second)

    encode, read, remember = (stage.module for stage in stages(method, 50, 75, objects=2))
    padded, key, _, f16, *_ = encode(first[None])
    objects, padding = pad_to_multiple(one_hot_objects(mask, [1, 2]))
    value = remember(padded, f16, soft_aggregate(objects).softmax(0))
    _, *query = encode(second[None])
    found = unpad(read(*query, key.flatten(2), value.flatten(2)), padding)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.01


def test_objects_join_as_by_the_softmax_of_their_log_odds():
    objects = torch.rand(3, 20, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    objects[:, :5], objects[1, 5:9] = 0, 1
    torch.testing.assert_close(aggregate(objects), soft_aggregate(objects).softmax(0))
    torch.testing.assert_close(aggregate(objects[:1]), soft_aggregate(objects[:1]).softmax(0))


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({}, [1, 1, 1]),
        ({"write_rule": "first+every", "memory_every": 5}, [1, 1, 0.2]),
        ({"queue_length": 1}, [1, 1, 0]),
    ],
)
def test_a_frame_needs_as_many_memory_writes_as_the_policy_makes(options, shares):
    found = stages(student(**options), 32, 48, objects=1)
    assert [stage.name for stage in found] == ["query_encode", "read_decode", "memory_encode"]
    assert [stage.per_frame for stage in found] == shares


def test_the_memory_is_as_full_as_in_a_long_video_or_as_asked():
    def places(method, **size) -> int:
        return stages(method, 32, 48, 2, **size)[1].inputs["memory_value"].shape[2] // (2 * 3)

    assert places(student()) == 2
    assert places(student(), memory_frames=1) == 1
    assert places(student(queue_length=None)) == 8
    with pytest.raises(ConfigError, match="memory_frames=3 do not fit"):
        places(student(), memory_frames=3)


@pytest.mark.parametrize("name", STUDENTS)
def test_a_softmax_is_over_the_last_dimension_and_no_tensor_has_more_than_four(name):
    softmaxes = 0
    for stage in stages(student(name), 32, 48, objects=2):
        graph = torch.export.export(stage.module, tuple(stage.inputs.values()), strict=False).graph
        for node in graph.nodes:
            value = node.meta.get("val")
            if isinstance(value, torch.Tensor):
                assert value.ndim <= 4, f"{stage.name}: {node}"
            if "softmax" in str(node.target):
                softmaxes += 1
                assert node.args[1] in (-1, node.args[0].meta["val"].ndim - 1), f"{stage.name}: {node}"
    assert softmaxes == 1


def test_what_has_no_known_stages_is_told():
    with pytest.raises(ConfigError, match="CopyFirstMask cannot be measured on a phone"):
        stages(methods.create("copy_first_mask"), 32, 48, objects=1)
    with pytest.raises(ConfigError, match="32x2 with 2 objects"):
        stages(student(), 32, 2, objects=2)
