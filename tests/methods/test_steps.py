"""The steps of a frame, one after another, are what a method does, in a form that runtimes do quickly."""

import pytest
import torch
from torch import nn

import methods
from methods import MethodError
from methods.interface import Remembering, Stepped, one_hot_objects
from methods.masks import pad_to_multiple, soft_aggregate, unpad
from methods.memory import MemoryPolicy
from methods.sam.predictor import Predictor
from methods.space_time import aggregate
from methods.steps import STEPS

FAMILIES = ("stcn", "mobilevos_mnv2", "deaot_s")


def small(name: str, **options):
    torch.manual_seed(0)
    return methods.create(name, width=0.25, **options)


def lively(name: str, **options):
    """A small DeAOT that depends on its memory: untrained ones start out hardly looking at it."""
    method = small(name, **options)
    for weight in method.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    method.decoder.conv_out.weight.data *= 4
    return method


def video(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """50 x 75, which no stride divides, with the objects 1 and 2."""
    mask = torch.zeros(50, 75, dtype=torch.long)
    mask[4:20, 4:20], mask[30:, 40:] = 1, 2
    return torch.rand(frames, 3, 50, 75, generator=torch.Generator().manual_seed(0)), mask


@pytest.mark.parametrize("name", [name for name in methods.available() if methods.is_trainable(name)])
def test_every_network_says_what_it_remembers(name):
    """SAM remembers nothing of frames, but has steps as the others."""
    with torch.device("meta"):
        method = small(name)
    assert isinstance(method, Stepped)
    assert isinstance(method, Remembering) != (methods.entry(name).learns == "images")


@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_has_the_four_steps_on_any_device(name):
    method = small(name)
    real = method.frame_steps(32, 48, 2, 1)
    results = {step.name: step.run(step.inputs) for step in real}
    meta = method.to("meta").frame_steps(32, 48, 2, 1)
    assert [step.name for step in real] == [step.name for step in meta] == list(STEPS)
    for one, shape in zip(real, meta, strict=True):
        found, expected = results[one.name], shape.run(shape.inputs)
        for there, here in ((found, expected), (one.inputs, shape.inputs)):
            assert {k: x.shape for k, x in there.items()} == {k: x.shape for k, x in here.items()}
            assert max(x.ndim for x in there.values()) <= 4
            assert {x.device.type for x in here.values()} == {"meta"}


@pytest.mark.parametrize("name", ["stcn", "mobilevos_r18"])
@torch.inference_mode()
def test_the_steps_of_a_space_time_network_give_what_its_step_gives(name):
    method, (frames, mask) = small(name), video(2)
    method.start(frames[0], mask)
    expected = method.step(frames[1])

    encode, read, decode, write = method.frame_steps(50, 75, 2, 1)
    objects, padding = pad_to_multiple(one_hot_objects(mask, [1, 2]))
    first = encode.run({"frame": frames[:1]}) | {"probabilities": soft_aggregate(objects).softmax(0)}
    value = write.run(first)["new_value"]
    values = {"key": first["key16"].flatten(2), "value": value.flatten(2), "frame": frames[1:]}
    for step in (encode, read, decode):
        values |= step.run(values)
    torch.testing.assert_close(unpad(values["probabilities"], padding), expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.01


@pytest.mark.parametrize("attention", ["vanilla", "deformable"])
@pytest.mark.parametrize("name", ["deaot_t", "r50_deaot_l"])
@torch.inference_mode()
def test_the_steps_of_deaot_give_what_its_step_gives(name, attention):
    """Frame after frame: what the last step remembers is what the next frame reads."""
    method, (frames, mask) = lively(name, attention=attention, long_term_gap=9999), video(4)
    method.start(frames[0], mask)
    encode, *_, write = found = method.frame_steps(50, 75, 2, 1)
    annotated = write.module.annotated(mask, *encode.run({"frame": frames[:1]}).values())
    values = {term + key: x for term in ("long_", "short_") for key, x in named(annotated).items()}
    for frame in frames[1:]:
        values["frame"] = frame[None]
        for step in found:
            values |= step.run(values)
        torch.testing.assert_close(values["probabilities"], method.step(frame), atol=1e-5, rtol=0)
    assert values["probabilities"].std() > 0.1


def named(memory: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    return {f"{('key', 'value')[i % 2]}_{i // 2}": x for i, x in enumerate(memory)}


@pytest.mark.parametrize(
    ("name", "options", "share"),
    [
        ("mobilevos_r18", {}, 1),
        ("mobilevos_r18", {"write_rule": "first+every", "memory_every": 5}, 0.2),
        ("mobilevos_r18", {"queue_length": 1}, 0),
        ("stcn", {"memory_every": 5}, 0.2),
        ("deaot_t", {}, 1),  # the short-term memory takes every frame
        ("deaot_l", {}, 1),
    ],
)
def test_a_frame_needs_as_many_memory_writes_as_the_method_makes(name, options, share):
    found = small(name, **options).frame_steps(32, 48, 1, 1)
    assert [step.per_frame for step in found] == [1, 1, 1, share]


def test_a_fuller_memory_is_longer_and_its_frames_differ():
    for name, key in (("stcn", "key"), ("deaot_l", "long_value_2")):
        one, three = (small(name).frame_steps(32, 48, 1, count)[1].inputs for count in (1, 3))
        assert three[key].shape[2] == 3 * one[key].shape[2]
        first, second, third = three[key].chunk(3, 2)
        assert not first.equal(second) and not second.equal(third)
    assert three["short_value_2"].shape == one["short_value_2"].shape


def test_the_long_term_memory_of_deaot_by_gap():
    assert small("deaot_b").policy == MemoryPolicy(every=1, capacity=1)  # annotated frames only
    assert small("deaot_l").policy == MemoryPolicy(every=5)
    assert small("deaot_t", long_term_gap=3).policy == MemoryPolicy(every=3)


def test_more_objects_than_one_group_holds_have_no_steps():
    with pytest.raises(MethodError, match="11 objects: the steps of DeAOT are those of one group of up to 10"):
        small("deaot_t").frame_steps(32, 48, 11, 1)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("stcn", {}, 1),
        ("mobilevos_mnv2", {}, 1),
        ("deaot_s", {}, 2 * 3 + 1),  # long-term, short-term, self; and the objects
        ("deaot_t", {"attention": "deformable"}, 3 + 1),
    ],
)
def test_a_softmax_is_over_the_last_dimension_and_no_tensor_has_more_than_four(name, options, expected):
    softmaxes = 0
    for step in small(name, **options).frame_steps(32, 48, 2, 1):
        graph = torch.export.export(step.module, tuple(step.inputs.values()), strict=False).graph
        for node in graph.nodes:
            value = node.meta.get("val")
            if isinstance(value, torch.Tensor):
                assert value.ndim <= 4, f"{step.name}: {node}"
            if "softmax" in str(node.target):
                softmaxes += 1
                assert node.args[1] in (-1, node.args[0].meta["val"].ndim - 1), f"{step.name}: {node}"
    assert softmaxes == expected


def test_objects_join_as_by_the_softmax_of_their_log_odds():
    objects = torch.rand(3, 20, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    objects[:, :5], objects[1, 5:9] = 0, 1
    torch.testing.assert_close(aggregate(objects), soft_aggregate(objects).softmax(0))
    torch.testing.assert_close(aggregate(objects[:1]), soft_aggregate(objects[:1]).softmax(0))


def test_sam_s_steps_answer_a_point_for_each_object_as_its_predictor_does():
    torch.manual_seed(0)
    method = methods.create("mobile_sam", image_size=64, width=0.1, depth=0.1, decoder_channels=16)
    encode, decode = method.frame_steps(50, 80, 2, 0)
    values = encode.run(encode.inputs) | {"points": decode.inputs["points"]}
    found = decode.run(values)
    predictor = Predictor(method)
    predictor.set_image(encode.inputs["frame"][0])
    points = decode.inputs["points"] * 80 / 64  # in pixels of the frame, which is resized to 40 x 64
    expected = predictor.predict(points, torch.ones(2, 1, dtype=torch.long))
    torch.testing.assert_close(found["logits"], expected.logits)
    torch.testing.assert_close(found["scores"], expected.scores)
    assert [step.name for step in method.to("meta").frame_steps(50, 80, 2, 0)] == ["query_encode", "decode"]
