"""State in JSON: what has another shape is set aside, said once, and made anew."""

from dataclasses import dataclass

import pytest

from bench.system.files import csv_text, read_json
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
