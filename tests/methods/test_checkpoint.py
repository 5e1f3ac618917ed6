"""Weights load strictly, and what does not fit is named."""

import os
import re
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch

import methods
from bench.plan.cells import Network
from bench.run.networks import build
from methods import MethodError
from methods.backbones.imagenet import initialize_backbones
from methods.checkpoint import load_weights, read_file

SMALL = {"width": 0.25}


@pytest.fixture
def student():
    return methods.create("mobilevos_mnv2", **SMALL)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
    ],
)
def test_every_usual_wrapping_loads(student, tmp_path, wrap):
    torch.save(wrap(student.state_dict()), tmp_path / "weights.pth")
    other = methods.create("mobilevos_mnv2", **SMALL)
    load_weights(other, tmp_path / "weights.pth")
    for key, value in student.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value)


def test_a_checkpoint_of_another_method_is_refused_with_the_keys_that_differ(student, tmp_path):
    torch.save(methods.create("mobilevos_r18", **SMALL).state_dict(), tmp_path / "r18.pth")
    with pytest.raises(MethodError, match=r"r18.pth does not fit MobileVOS: .* missing .* unexpected"):
        load_weights(student, tmp_path / "r18.pth")


def test_another_width_is_refused_with_both_shapes(student, tmp_path):
    torch.save(methods.create("mobilevos_mnv2", width=0.5).state_dict(), tmp_path / "half.pth")
    with pytest.raises(MethodError, match="of another shape .* instead of "):
        load_weights(student, tmp_path / "half.pth")


def test_files_that_are_no_checkpoints_are_refused(student, tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, complaint in (("text", "cannot read"), ("list", "no state dict"), ("absent", "not found")):
        with pytest.raises(MethodError, match=complaint):
            load_weights(student, tmp_path / f"{name}.pth")


def test_imagenet_weights_fill_both_encoders_and_keep_the_mask_inputs(tmp_path):
    source = methods.create("mobilevos_r18").query_encoder.state_dict()
    classifier = {"fc.weight": torch.zeros(2, 2), "layer4.0.conv1.weight": torch.zeros(1, 1, 3, 3)}
    torch.save({**source, **classifier}, tmp_path / "r18.pth")
    method = methods.create("mobilevos_r18")
    masks_before = method.memory_encoder.conv1.weight[:, 3:].clone()
    report = initialize_backbones(method, {"resnet18": tmp_path / "r18.pth"})
    assert report == {"resnet18": "imagenet:r18.pth"}
    torch.testing.assert_close(method.query_encoder.conv1.weight, source["conv1.weight"])
    torch.testing.assert_close(method.memory_encoder.conv1.weight[:, :3], source["conv1.weight"])
    torch.testing.assert_close(method.memory_encoder.conv1.weight[:, 3:], masks_before)


def test_a_missing_imagenet_file_warns_once_and_is_reported(tmp_path):
    method = methods.create("mobilevos_mnv2")
    with pytest.warns(UserWarning, match="not found") as caught:
        report = initialize_backbones(method, {"mobilenet_v2": tmp_path / "none.pth"})
    assert len(caught) == 1
    assert report == {"mobilenet_v2": "random"}


def test_an_incomplete_imagenet_file_is_refused(tmp_path):
    state = methods.create("mobilevos_r18").query_encoder.state_dict()
    del state["layer2.0.conv1.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(MethodError, match=r"1 missing \(layer2.0.conv1.weight\)"):
        initialize_backbones(methods.create("mobilevos_r18"), {"resnet18": tmp_path / "part.pth"})


@pytest.mark.parametrize("name", ["mobilevos_mnv2", "mobilevos_mnv2_no_aspp"])
def test_a_real_imagenet_file_loads(shared, name):
    path = shared / "weights/mobilenet_v2_imagenet.pth"
    report = initialize_backbones(methods.create(name), {"mobilenet_v2": path})
    assert report == {"mobilenet_v2": "imagenet:mobilenet_v2_imagenet.pth"}


def test_one_wrong_byte_among_the_weights_is_noticed(student, tmp_path):
    """torch itself loads such a file and says nothing; sums that were left out are no damage."""
    path = tmp_path / "weights.pth"
    torch.save(student.state_dict(), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    with pytest.raises(MethodError, match="weights.pth: .* is damaged"):
        load_weights(student, path)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(student.state_dict(), path)
    finally:
        torch.serialization.set_crc32_options(True)
    load_weights(student, path)


# Files from strangers.


def packed(path: Path, *entries: tuple[str, bytes]) -> Path:
    """A zip archive, compressed, as torch writes none."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_an_archive_that_is_larger_inside_is_not_unpacked(tmp_path):
    path = packed(tmp_path / "bomb.pth", ("archive/data.pkl", bytes(50_000_000)))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(MethodError, match=r"bomb\.pth: 48 MB are packed into it, which torch never does"):
        read_file(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_weights_that_are_no_file_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    kinds = {tmp_path: "a folder", tmp_path / "pipe": "a pipe or a device", Path("/dev/zero"): "a pipe or a device"}
    for name, kind in kinds.items():
        with pytest.raises(MethodError, match=f"checkpoint {name} is {kind}: give the file of the weights"):
            read_file(name)
        with pytest.raises(MethodError, match=f"is {kind}"):
            assert Network("mobilevos_r18", weights=str(name)).key


@pytest.mark.parametrize(
    "content",
    [{0: torch.zeros(1)}, {"a": [1, 2]}, [torch.zeros(1)], {"model": {("a", 1): torch.zeros(1)}}, 3, None],
)
def test_odd_content_gets_one_message(student, tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(MethodError, match=r"odd\.pth holds no state dict \(a dictionary of tensors by name\)"):
        load_weights(student, tmp_path / "odd.pth")


@pytest.mark.parametrize("options", [[1, 2], {0: 1}, {"width": "wide"}, {"width": -1}, {"unknown": 1}])
def test_odd_options_in_a_checkpoint_get_one_message(tmp_path, options):
    torch.save({"state_dict": {}, "meta": {"options": options}}, tmp_path / "odd.pth")
    with pytest.raises(MethodError, match=r"odd\.pth"):
        build(Network("mobilevos_r18", weights=str(tmp_path / "odd.pth")), tmp_path, "cpu")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(student, tmp_path, value):
    state = student.state_dict()
    key = next(key for key, tensor in state.items() if tensor.is_floating_point())
    state[key] = torch.full_like(state[key], value)
    torch.save(state, tmp_path / "lost.pth")
    with pytest.raises(MethodError, match=rf"lost\.pth holds values that are no numbers .*: {re.escape(key)}$"):
        load_weights(student, tmp_path / "lost.pth")


def test_torchs_advice_to_run_what_is_in_a_file_is_not_handed_on(tmp_path):
    torch.save({"path": Path("/")}, tmp_path / "objects.pth")
    with pytest.raises(MethodError, match="it is damaged, or holds more than tensors and plain values") as caught:
        read_file(tmp_path / "objects.pth")
    assert "weights_only" not in str(caught.value) and "trust" not in str(caught.value)
