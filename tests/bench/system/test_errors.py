"""What a user is told of an error: one line that names the file; a mistake of ours keeps its traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.system.errors import message_of, printable

ROOT = Path(__file__).resolve().parents[3]
CHECK = ["job=check", "method=copy_first_mask", "device=cpu"]


def raised(function, *values) -> BaseException:
    with pytest.raises(BaseException) as caught:
        function(*values)
    return caught.value


def deep_json(path: Path) -> None:
    json.loads(path.read_text())


@pytest.mark.parametrize(
    ("make", "read", "message"),
    [
        (lambda p: p.mkdir(), Path.read_text, "{path}: Is a directory"),
        (lambda p: p.symlink_to(p), Path.read_text, "{path}: Too many levels of symbolic links"),
        (lambda p: p.write_bytes(b"M\xfcnchen"), Path.read_text, "{path} is no text in UTF-8: 'utf-8' codec"),
        (lambda p: p.write_text("[" * 100_000), deep_json, "{path} is nested too deeply"),
        (lambda p: p, lambda p: Path(f"{p}{'x' * 300}").stat(), "{path}xxx"),
        (lambda p: p, lambda p: bytes(1 << 60), "out of memory at "),
    ],
)
def test_an_error_of_a_file_names_it(tmp_path, make, read, message):
    path = tmp_path / "file"
    make(path)
    found = message_of(raised(read, path))
    assert found is not None and found.startswith(message.format(path=path))


def test_an_image_that_is_a_bomb_is_named(tmp_path, monkeypatch):
    from PIL import Image

    Image.new("1", (100, 100)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)

    def read(path: Path) -> None:
        Image.open(path)

    found = message_of(raised(read, tmp_path / "bomb.png"))
    assert found is not None and found.startswith(f"{tmp_path}/bomb.png: Image size (10000 pixels) exceeds")


@pytest.mark.parametrize("kind", [TypeError, AttributeError, KeyError, AssertionError, RuntimeError])
def test_a_mistake_of_ours_is_none_of_the_users(kind):
    assert message_of(kind("ours")) is None


def test_the_command_line_tells_of_a_file_in_the_place_of_the_runs(tmp_path, told):
    (tmp_path / "file").touch()
    for runs in (tmp_path / "file", tmp_path / "file/below"):
        assert main([*CHECK, f"runs={runs}", f"output={tmp_path}/out"]) in (0, 2)
    assert f"error: runs={tmp_path}/file is no folder: choose another" in told()[0]


def test_what_would_steer_a_terminal_is_shown_escaped(capsys):
    assert printable("a\x1b[2Jb\x07\u202ec\udcff\té\n") == "a\\x1b[2Jb\\x07\\u202ec\\udcff\té\n"
    assert main([*CHECK[:1], "method=\x1b]0;owned\x07"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and "\x1b" not in told and "\x07" not in told


def bench(*arguments: str, **more) -> subprocess.Popen:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_a_reader_that_leaves_ends_it_quietly():
    """As `| head -1`: whatever was to be read had been written for nobody."""
    with bench("--config") as process:
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (141, "")


def test_a_name_that_the_terminal_cannot_show_ends_nothing():
    with bench(*CHECK[:1], "method=ε", env=os.environ | {"PYTHONIOENCODING": "ascii"}) as process:
        assert process.wait() == 2
        told = process.stderr.read()
        assert told.startswith("error: ") and "'\\u03b5'" in told
