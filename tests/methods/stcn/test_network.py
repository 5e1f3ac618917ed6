"""STCN equals the official implementation: key names, shapes, features and masks."""

import numpy as np
import pytest
import torch

import methods
from methods.checkpoint import load_weights
from methods.masks import normalize, others, pad_to_multiple, unpad

ATOL = 1e-4


@pytest.fixture(scope="module")
def arrays(shared):
    """Official outputs."""
    return np.load(shared / "golden/models/stcn.npz")


def official(seeded, **options):
    method = methods.create("stcn", **options)
    method.load_state_dict(seeded.name_seeded(method.state_dict(), {"key_proj": 0.5}))
    return method


def two_objects() -> torch.Tensor:
    mask = torch.zeros(112, 112, dtype=torch.long)
    mask[8:50, 8:60] = 1
    mask[60:100, 40:100] = 2
    return mask


def test_key_names_and_shapes_are_the_official_ones(assert_official_keys):
    assert_official_keys(methods.create("stcn"), "stcn")


def test_features_equal_the_official_ones(arrays, seeded):
    method = official(seeded)
    frame = seeded.frames((7, 3, 112, 112), 0)[:1]
    with torch.inference_mode():
        query = method.encode_query(frame)
        masks = torch.stack([two_objects() == 1, two_objects() == 2]).float()
        value = method.encode_memory(frame[[0, 0]], query.f16[[0, 0]], masks, others(masks))
    for ours, name in (
        (query.key16, "k16"),
        (query.context16[:, ::16], "f16_thin"),
        (query.f16[:, ::32], "f16"),
        (query.f8[:, ::16, ::2, ::2], "f8"),
        (query.f4[:, ::16, ::4, ::4], "f4"),
        (value[:, ::16].unsqueeze(2), "value0"),
    ):
        np.testing.assert_allclose(ours.numpy(), arrays[name], atol=ATOL, err_msg=name)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"memory_every": 2, "top_k": 20, "include_last": False}, "prob"),
        ({"memory_every": 5, "top_k": 20, "include_last": True}, "prob_include_last"),
    ],
)
def test_probabilities_equal_the_official_ones(arrays, seeded, colours, options, name):
    method = official(seeded, **options)
    frames = colours(seeded.frames((7, 3, 112, 112), 0))
    method.start(frames[0], two_objects())
    ours = torch.stack([method.step(frame) for frame in frames[1:]], 1).numpy()
    np.testing.assert_allclose(ours[:, :, ::4, ::4], arrays[name][:, 1:], atol=ATOL)
    if name == "prob":
        assert (ours.argmax(0) != arrays["mask"][1:]).mean() < 1e-3


def test_parameter_count_is_the_official_one():
    assert sum(p.numel() for p in methods.create("stcn").parameters()) == 54_434_180


def test_a_stage_0_checkpoint_without_other_objects_loads(tmp_path):
    method = methods.create("stcn", width=0.125)
    state = method.state_dict()
    first = "value_encoder.conv1.weight"
    torch.save({**state, first: state[first][:, :4]}, tmp_path / "stage0.pth")
    other = methods.create("stcn", width=0.125)
    load_weights(other, tmp_path / "stage0.pth")
    loaded = other.state_dict()[first]
    torch.testing.assert_close(loaded[:, :4], state[first][:, :4])
    assert not loaded[:, 4].any()


def test_padding_is_split_evenly_and_undone():
    x = torch.rand(3, 33, 50)
    padded, padding = pad_to_multiple(x, 16)
    assert padded.shape == (3, 48, 64)
    assert padding == (7, 7, 7, 8)
    torch.testing.assert_close(unpad(padded, padding), x)


def test_normalisation_uses_the_imagenet_statistics():
    grey = normalize(torch.full((3, 1, 1), 0.5)).flatten()
    torch.testing.assert_close(grey, torch.tensor([0.0655, 0.1964, 0.4178]), atol=1e-4, rtol=0)
