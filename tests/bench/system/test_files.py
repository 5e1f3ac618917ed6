"""What a job writes stays below its own folder; JSON of another shape is set aside, said once, and made anew."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from generated import OFTEN
from hypothesis import given
from hypothesis import strategies as st

from bench.system.errors import ConfigError
from bench.system.files import csv_text, drop_unfinished, inside, read_json
from bench.system.shapes import fits


@dataclass
class Point:
    name: str
    at: float | None = None


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (1, float), (None, float | None), ("a", object), ([1, 2.5], list[float]), ({"a": 1}, dict[str, float]),
        ({"a": 1, "b": 2}, {"a": int}), ([["a", 1]], list[tuple[str, float]]), ({"name": "a", "new": 1}, Point),
        ({"at": None}, Point),
    ],
)  # fmt: skip
def test_what_fits(value, shape):
    assert fits(value, shape)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (True, int), (1.5, int), ("1", float), ([1, "a"], list[float]), ({"a": []}, dict[str, float]),
        ({"b": 2}, {"a": int}), ([], {"a": int}), ([["a"]], list[tuple[str, float]]), ({"name": 1}, Point),
        ([], Point), (None, dict),
    ],
)  # fmt: skip
def test_what_does_not(value, shape):
    assert not fits(value, shape)


@pytest.mark.parametrize("content", [b"[]", b'{"frames": "six"}', b"{", b"\xff", b"[" * 100_000, b"null"])
def test_what_does_not_fit_is_set_aside_and_said_once(tmp_path, content, told):
    path = tmp_path / "state.json"
    path.write_bytes(content)
    assert read_json(path, {"frames": int}) is None
    assert (tmp_path / "state.json.damaged").read_bytes() == content
    assert read_json(path, {"frames": int}) is None
    (line,) = told()
    assert f"warning: {path} is damaged" in line and "kept as state.json.damaged" in line


def test_a_cell_of_a_csv_file_is_no_formula():
    rows = [["=cmd|' /C calc'!A0", "+1+1", "-x", "@a", "\tb", "a=b", "-1.5", "+2e3", -1.5]]
    assert csv_text(rows) == "'=cmd|' /C calc'!A0,'+1+1,'-x,'@a,'\tb,a=b,-1.5,+2e3,-1.5\n"


parts = st.one_of(
    st.text(alphabet="./\\a\0\n\ud800é", max_size=6),
    st.sampled_from(["..", "link", "file", "circle", "/etc", "x" * 300, "../own-not", "..//own/x"]),
)


@OFTEN
@given(names=st.lists(parts, max_size=3))
def test_any_place_is_inside_or_an_error(names, tmp_path):
    own = tmp_path / "own"
    if not own.exists():
        own.mkdir()
        (own / "link").symlink_to("/")
        (own / "circle").symlink_to("circle")
        (own / "file").touch()
    try:
        place = inside(own, *names)
    except ConfigError as error:
        assert "leads out of" in str(error)
    else:
        assert Path(os.path.realpath(place)).is_relative_to(own)


def test_a_folder_may_itself_be_a_link_but_lead_nowhere_else(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "own").symlink_to("disk")
    assert inside(tmp_path / "own", "masks", "cat") == tmp_path / "own/masks/cat"
    (tmp_path / "disk/masks").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"own/masks/cat leads out of .*own"):
        inside(tmp_path / "own", "masks", "cat")


def test_a_folder_called_as_an_unfinished_file_stays(tmp_path):
    (tmp_path / ".cat.1.tmp").mkdir()
    (tmp_path / ".cat.1.tmp/0.png").touch()
    (tmp_path / ".0.1.tmp.png").touch()
    drop_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".cat.1.tmp", "0.png"]
