"""Every method of the suite behaves as the adapter promises."""

from copy import deepcopy
from functools import cache

import pytest
import torch

import methods
from methods.conformance import PROMISES, first_mask, video
from methods.masks import most_likely

SMALL = {name: {"width": 0.25} for name in methods.available() if methods.is_trainable(name)}
for name in ("mobile_sam", "sam_vit_b", "sam_vit_h"):
    SMALL[name] = {"width": 0.1, "depth": 0.1, "image_size": 64, "decoder_channels": 64}


@cache
def created(name: str):
    torch.manual_seed(0)
    return methods.create(name, **SMALL.get(name, {}))


@pytest.fixture(params=methods.available())
def method(request):
    return deepcopy(created(request.param))


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)
def test_a_promise_is_kept(method, promise):
    promise.check(method, "cpu")


@pytest.mark.parametrize(
    ("frame", "mask", "complaint"),
    [
        (torch.zeros(3, 8, 8), torch.zeros(8, 8).long(), "empty"),
        (torch.zeros(3, 8, 8), torch.ones(8, 9).long(), "differ in size"),
        (torch.zeros(3, 8, 8), torch.ones(8, 8), "integer"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), torch.ones(8, 8).long(), "float"),
        (torch.zeros(8, 8, 3), torch.ones(8, 8).long(), r"\(3, H, W\)"),
    ],
)
def test_wrong_input_gets_one_clear_message(method, frame, mask, complaint):
    with pytest.raises(methods.MethodError, match=complaint):
        method.start(frame, mask)


def test_step_before_start_says_so(method):
    with pytest.raises(methods.MethodError, match="start"):
        method.step(video()[0])


@pytest.mark.parametrize(
    ("mask", "complaint"),
    [
        (first_mask(ids=(4, 7)), "object 7 is followed already"),
        (torch.zeros(50, 70).long(), "mask of new objects is empty"),
        (first_mask(ids=(4,), height=49), "differ in size"),
        (first_mask(ids=(4,)).float(), "integer"),
    ],
)
def test_wrong_new_objects_get_one_clear_message_and_change_nothing(method, mask, complaint):
    frames = video()
    method.start(frames[0], first_mask())
    expected = method.step(frames[1])
    method.start(frames[0], first_mask())
    with pytest.raises(methods.MethodError, match=complaint):
        method.add(frames[1], mask)
    assert method.object_ids == [3, 7]
    assert torch.equal(method.step(frames[1]), expected)


def test_add_before_start_says_so(method):
    with pytest.raises(methods.MethodError, match=r"add\(\) before start\(\)"):
        method.add(video()[0], first_mask())


def test_a_video_goes_on_from_a_saved_state(method, tmp_path):
    """Byte for byte, after objects of two frames, in a method that has seen another video."""
    if not hasattr(method, "video_state"):
        pytest.skip("an interrupted video starts again")
    frames = video(9)
    method.start(frames[0], first_mask())
    method.step(frames[1])
    method.add(frames[2], first_mask(ids=(5,)))
    for frame in frames[3:6]:
        method.step(frame)
    torch.save(method.video_state(), tmp_path / "state.pt")
    expected = [method.step(frame) for frame in frames[6:]]
    method.start(frames[8], first_mask(ids=(9,)))
    method.load_video_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert method.object_ids == [3, 5, 7]
    for frame, answer in zip(frames[6:], expected, strict=True):
        assert torch.equal(method.step(frame), answer)


def test_an_unknown_method_lists_the_known_ones():
    with pytest.raises(methods.MethodError, match=r"unknown method 'stn'; known: .*stcn"):
        methods.create("stn")


@pytest.mark.parametrize("name", methods.available())
def test_an_unknown_option_is_named(name):
    with pytest.raises(methods.MethodError, match="colour"):
        methods.create(name, colour="red")


def test_the_most_likely_channel_is_the_first_of_the_highest():
    probabilities = torch.randint(0, 3, (4, 33, 65), generator=torch.Generator().manual_seed(0)).float()
    for dim in range(3):
        assert torch.equal(most_likely(probabilities, dim), probabilities.argmax(dim))
