"""Methods that are not the suite's: found, run, told apart by their content, and their mistakes placed."""

import os
import sys
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import nn

import methods
from methods import outside
from methods.checkpoint import load_weights

COPY = """\
from methods.copy_first_mask import CopyFirstMask

class Mine(CopyFirstMask):
    def __init__(self, strength=1):
        super().__init__()
        self.strength = strength
"""


@pytest.fixture
def write(tmp_path):
    """Writes a file of the user's and names the class in it."""

    def write_file(text: str, name: str = "mine.py", attribute: str = "Mine") -> str:
        (tmp_path / name).write_text(text)
        return f"{tmp_path / name}:{attribute}"

    return write_file


def test_a_class_in_a_file_is_a_method(write):
    method = methods.create(write(COPY), strength=3)
    method.start(torch.rand(3, 8, 8), torch.ones(8, 8).long())
    assert method.step(torch.rand(3, 8, 8)).shape == (2, 8, 8)
    assert method.strength == 3


def test_a_network_is_ready_for_inference_and_takes_weights_strictly(write, tmp_path):
    code = "from torch import nn\nclass Mine(nn.Linear):\n    start = step = nn.Linear.forward\n"
    method = methods.create(write(code), in_features=2, out_features=3)
    assert not method.training
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "fits.pth")
    load_weights(method, tmp_path / "fits.pth")
    torch.save(nn.Linear(2, 4).state_dict(), tmp_path / "not.pth")
    with pytest.raises(methods.MethodError, match=r"not.pth does not fit Mine: 2 of another shape"):
        load_weights(method, tmp_path / "not.pth")
    with pytest.raises(methods.MethodError, match="CopyFirstMask is no torch.nn.Module"):
        load_weights(methods.create("copy_first_mask"), tmp_path / "fits.pth")


def test_a_file_may_import_what_lies_beside_it(write, tmp_path):
    (tmp_path / "my_helper.py").write_text("from methods.copy_first_mask import CopyFirstMask as Base\n")
    assert methods.create(write("from my_helper import Base\nclass Mine(Base): pass\n")).object_ids == []


def test_an_edited_file_is_read_again_even_within_one_tick_of_the_clock(write, tmp_path):
    for strength in (1, 2):
        name = write(COPY.replace("strength=1", f"strength={strength}"))
        os.utime(tmp_path / "mine.py", ns=(10**18, 10**18))
        assert methods.create(name).strength == strength


def test_what_counts_is_the_content_of_the_file_and_of_what_it_imports(write, tmp_path):
    (tmp_path / "beside.py").write_text("x = 1\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text("")
    (tmp_path / "pack/part.py").write_text("from . import other\n")
    (tmp_path / "pack/other.py").write_text("y = 1\n")
    name = write("import beside\nfrom pack import part\nimport torch\n" + COPY)
    seen = [outside.identity(name)]
    assert outside.identity(name) == seen[0]
    for file in ("mine.py", "beside.py", "pack/other.py"):
        (tmp_path / file).write_text((tmp_path / file).read_text() + "# edited\n")
        seen.append(outside.identity(name))
    (tmp_path / "unrelated.py").write_text("")
    assert outside.identity(name) == seen[-1]
    assert len({digest for _, digest in seen}) == 4


def test_where_a_file_lies_does_not_count(write, tmp_path):
    first = outside.identity(write(COPY))
    (tmp_path / "elsewhere").mkdir()
    assert outside.identity(write(COPY, "elsewhere/renamed.py")) == first


def test_masks_count_by_their_bytes(tmp_path):
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog/00001.png").write_bytes(b"one")
    first = outside.identity(f"masks:{tmp_path}")
    (tmp_path / "dog/00001.png").write_bytes(b"two")
    assert outside.identity(f"masks:{tmp_path}") != first
    assert methods.create(f"masks:{tmp_path}") == outside.MaskFolder(tmp_path)
    assert not methods.is_trainable(f"masks:{tmp_path}")


def test_only_a_class_that_can_be_trained_is_trainable(write):
    assert not methods.is_trainable(write(COPY))
    student = "from methods.mobilevos.network import MobileVOS\nclass Mine(MobileVOS): pass\n"
    assert methods.is_trainable(write(student, "student.py"))


def test_an_installed_package_offers_methods_by_name(monkeypatch, tmp_path):
    (tmp_path / "their_package.py").write_text(COPY)
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = EntryPoint("theirs", "their_package:Mine", outside.GROUP)
    monkeypatch.setattr(outside, "entry_points", lambda group, name: [entry] if name == "theirs" else [])
    outside._entry_point.cache_clear()
    try:
        assert type(methods.create("theirs", strength=2)).__name__ == "Mine"
        assert (outside.short_name("theirs"), outside.label("theirs")) == ("theirs", "theirs")
        first = outside.identity("theirs")
        (tmp_path / "their_package.py").write_text(COPY + "# edited\n")
        assert outside.identity("theirs") != first
        with pytest.raises(methods.MethodError, match=r"theirs: TypeError: .*colour"):
            methods.create("theirs", colour="red")
    finally:
        outside._entry_point.cache_clear()
        sys.modules.pop("their_package", None)


def test_short_names_and_labels():
    assert outside.short_name("/home/me/my_file.py:Mine") == "my_file.py:Mine"
    assert outside.label("/home/me/my_file.py:Mine") == "Mine"
    assert outside.short_name("masks:/data/run7") == "masks:run7"
    assert outside.label("masks:/data/run7") == "run7"
    assert outside.short_name("stcn") == outside.label("stcn") == "stcn"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import not_there\n", r"mine.py:1: ModuleNotFoundError: No module named 'not_there'"),
        ("x = 1\ny = = 2\n", r"mine.py:2: SyntaxError: invalid syntax"),
        ("class Other: pass\n", r"mine.py has no Mine; there: Other$"),
        ("class Mine:\n    def start(self, f, m): pass\n", r"mine.py:Mine has no step: see docs/own_method.md"),
        (
            "class Mine:\n    def __init__(self):\n        1 / 0\n",
            r"mine.py:3: ZeroDivisionError: division by zero",
        ),
        ("class Mine:\n    def __init__(self, path): pass\n", r"mine.py:Mine: TypeError: .*argument: 'path'"),
        ("import sys\nsys.exit('usage: mine.py VIDEO')\n", r"mine.py:2: SystemExit: usage: mine.py VIDEO"),
    ],
)
def test_a_mistake_in_the_file_is_placed(write, text, message):
    with pytest.raises(methods.MethodError, match=message):
        methods.create(write(text))


def test_a_failure_is_placed_in_the_users_own_code_not_in_the_libraries(write):
    code = "import torch\nfrom methods.copy_first_mask import CopyFirstMask\n\nclass Mine(CopyFirstMask):\n"
    code += "    def step(self, frame):\n        return torch.stack([frame, frame[:2]])\n"
    name = write(code)
    method = methods.create(name)
    try:
        method.step(torch.rand(3, 8, 8))
    except RuntimeError as error:
        assert "mine.py:6: RuntimeError: stack expects" in outside.describe_failure(error, name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nowhere/mine.py:Mine", "no file /nowhere/mine.py"),
        ("masks:/nowhere", "no folder /nowhere"),
        ("mine.py", r"of your own: 'mine.py:<its class>'"),
        ("my_method", r"known: .*stcn.*of your own: my_file.py:MyMethod or masks:/path/to/folder"),
    ],
)
def test_a_name_that_leads_nowhere(name, message):
    with pytest.raises(methods.MethodError, match=message):
        methods.check_name(name)


def test_a_method_whose_extra_is_missing_says_which(monkeypatch):
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    with pytest.raises(methods.MethodError, match=r"'hf_sam2_video' needs transformers: pip install -e '.\[hf\]'"):
        methods.create("hf_sam2_video")
    assert methods.optional() == ["hf_edgetam_video", "hf_sam2_video"]
