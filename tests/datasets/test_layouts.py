"""The table of data layouts: what adds to it, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from datasets import layouts
from datasets.errors import DataError
from datasets.layouts import LAYOUTS, Layout, call, layout_of, register
from datasets.opening import open_evaluation, open_images, shares_to_raise

LAYOUT = Layout(videos="nowhere:open", evaluation={})


def test_a_kind_is_registered_once(monkeypatch):
    monkeypatch.setattr(layouts, "LAYOUTS", dict(LAYOUTS))
    register("mine", LAYOUT)
    assert layout_of("mine") is LAYOUT
    for kind in ("mine", "davis"):
        with pytest.raises(ValueError, match=f"data layout '{kind}' exists already"):
            register(kind, LAYOUT)


def test_a_layout_may_be_named_by_its_place():
    assert layout_of(f"{__name__}:LAYOUT") is LAYOUT


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("davies", "unknown data layout 'davies'; known: .*davis"),
        ("datasets.davis:LAYOUT", "unknown data layout 'datasets.davis:LAYOUT'"),  # a text, no layout
        ("no_such_module:LAYOUT", "cannot load the data layout .*no_such_module"),
        ("datasets.davis:NOTHING", "cannot load the data layout .*NOTHING"),
    ],
)
def test_an_unknown_layout_is_named(kind, message):
    with pytest.raises(DataError, match=message):
        layout_of(kind)


def test_functions_get_the_keys_that_they_name_and_the_use_has_the_last_word():
    def opened(root: Path, split: str, name: str = "x") -> tuple:
        return root, split, name

    node = {"name": "n", "kind": "mine", "root": "/data", "split": "val", "fingerprint": "f"}
    assert call(opened, node) == (Path("/data"), "val", "n")
    assert call(opened, node, split="train") == (Path("/data"), "train", "n")
    del node["split"]
    with pytest.raises(DataError, match="'n' of the kind mine needs a key 'split'"):
        call(opened, node)


def test_the_embedded_set_trains_and_evaluates_on_different_videos(tiny_davis):
    node = {"name": "embedded", "kind": "embedded", "root": str(tiny_davis)}
    assert {video.name for video in open_evaluation(node).sequences} == {"val-000", "val-001"}
    assert {image.name.split("/")[0] for image in open_images(node)} == {"train-000", "train-001"}


@pytest.mark.parametrize(
    ("evaluated", "learnt", "least"),
    [
        ({"hold_out": 0.2}, {"hold_out": 0.1}, {"hold_out": 0.2}),
        ({"hold_out": 0.2}, {"hold_out": 0.3}, {}),
        ({"hold_out": 0.2}, {"hold_out": 0.1, "fingerprint": "other"}, {}),
    ],
)
def test_static_images_are_apart_where_training_holds_out_as_many(evaluated, learnt, least):
    node = {"kind": "static", "fingerprint": "same"}
    assert shares_to_raise({**node, **evaluated}, {**node, **learnt}) == least


@pytest.mark.parametrize(
    ("split", "shares", "least"),
    [
        ("held_out", {"judged": 0.1, "unseen": 0.1}, {}),
        ("held_out", {"judged": 0.1, "unseen": 0.0}, {"judged": 0.1, "unseen": 0.1}),
        ("train", {"judged": 0.1, "unseen": 0.1}, {"judged": 1.0}),
        ("valid", {}, {}),
    ],
)
def test_every_copy_of_youtube_vos_holds_the_same_videos(split, shares, least):
    evaluated = {"kind": "youtube_vos", "fingerprint": "a", "split": split, "judged": 0.1, "unseen": 0.1}
    mixed = {"kind": "davis_youtube", "fingerprint": "b+c", "davis_root": "/d", "youtube_root": "/y", **shares}
    assert shares_to_raise(evaluated, mixed) == least
    assert shares_to_raise(evaluated, {"kind": "bl30k", "fingerprint": "d"}) == {}


def test_the_table_loads_neither_torch_nor_opencv():
    code = "import sys, datasets.layouts; assert not {'torch', 'cv2', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
