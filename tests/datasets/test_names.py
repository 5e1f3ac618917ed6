"""Names that come from data: each is one part of a path or an error that shows it, whoever wrote it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from generated import OFTEN
from hypothesis import given
from hypothesis import strategies as st

from datasets.davis import open_davis
from datasets.errors import DataError
from datasets.folder import open_folder
from datasets.images import write_mask
from datasets.names import LONGEST, checked_name
from datasets.sequence import Sequence, VideoSet
from datasets.static import open_static
from datasets.youtube_vos import open_youtube_vos

HOSTILE = [
    "", ".", "..", "/", "/elsewhere/v", "../../victim", "a/b", "a\\b", "a\0b", "a\nb", "\x1b[31mred", "\x7f",
    "\x85", "\u2028", "\ud800", "x" * 201, "é" * 101, 5, None, ["a"], {"a": 1}, True, float("nan"),
]  # fmt: skip
names = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="./\\ab\0\n\ud800\x7fé", max_size=6),  # the last of a pair without its first, too
    st.sampled_from(HOSTILE),
    st.integers(min_value=190, max_value=210).map("x".__mul__),
)


@pytest.mark.parametrize("name", ["cat", "bike-packing", "00000", "val 1", "日本", "a..b", "...", "x" * LONGEST])
def test_names_that_are_one_part_of_a_path_stay_as_they_are(name):
    assert checked_name(name, "a video") == name


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_other_names_are_errors_that_show_them_in_plain_ascii(name):
    with pytest.raises(DataError, match=r"^a video of /data/meta.json is called ") as error:
        checked_name(name, "a video of /data/meta.json")
    text = str(error.value)
    assert text.isascii()
    assert text.isprintable()
    assert ascii(name)[:20] in text


@OFTEN
@given(name=names)
def test_any_name_is_an_error_or_names_a_file_of_its_folder_and_no_other(name, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir(exist_ok=True)
    try:
        path = folder / f"{checked_name(name, 'a frame')}.png"
    except DataError:
        return
    path.touch()
    assert os.listdir(folder) == [path.name]
    path.unlink()
    assert os.listdir(tmp_path) == ["masks"]


def write_youtube(root: Path, videos: object) -> None:
    (root / "train/JPEGImages").mkdir(parents=True, exist_ok=True)
    (root / "train/meta.json").write_text(json.dumps({"videos": videos}))


keys = names.filter(lambda name: isinstance(name, str))
values = st.one_of(names, st.lists(names, max_size=2))
numbers = st.one_of(st.sampled_from(["1", "-1", "9" * 5000]), keys)
listings = st.fixed_dictionaries({"category": values, "frames": values})
objects = st.one_of(values, st.dictionaries(numbers, st.one_of(values, listings), max_size=2))
entries = st.one_of(values, st.fixed_dictionaries({"objects": objects}))
videos = st.one_of(values, st.dictionaries(keys, entries, max_size=2))


@OFTEN
@given(listed=videos)
def test_whatever_a_meta_json_lists_is_an_error_or_opens(listed, tmp_path):
    write_youtube(tmp_path, listed)
    with pytest.raises(DataError, match=r".+"):  # none of these videos is there
        open_youtube_vos(tmp_path)


@OFTEN
@given(lines=st.lists(names.map(str), min_size=1, max_size=3))
def test_whatever_a_list_of_davis_holds_is_an_error(lines, tmp_path):
    for folder in ("JPEGImages/480p", "ImageSets/2017"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "ImageSets/2017/val.txt").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r".+"):
        open_davis(tmp_path, 2017)


def test_a_list_names_the_file_and_the_value(tmp_path):
    for folder in ("JPEGImages/480p", "ImageSets/2017"):
        (tmp_path / folder).mkdir(parents=True)
    listed = tmp_path / "ImageSets/2017/val.txt"
    listed.write_text("cat\n..\n")
    with pytest.raises(DataError, match=r"a sequence listed in .*val\.txt is called '\.\.'"):
        open_davis(tmp_path, 2017)
    listed.write_bytes(b"ours\n" + "caf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"val\.txt is not UTF-8 in line 2: save the list of sequences as UTF-8"):
        open_davis(tmp_path, 2017)


@pytest.mark.parametrize(
    ("video", "entry", "message"),
    [
        ("../../victim", {"1": {"frames": ["0"]}}, r"a video in .*meta\.json is called '../../victim'"),
        ("cat", {"1": {"frames": ["../0"]}}, r"a frame of object 1 of video cat in .*meta\.json is called '../0'"),
        ("cat", {"1": {"frames": ["0"], "category": "a/b"}}, r"the class of object 1 of video cat in .* 'a/b'"),
    ],
)
def test_a_meta_json_names_the_file_and_the_value(tmp_path, video, entry, message):
    write_youtube(tmp_path, {video: {"objects": entry}})
    with pytest.raises(DataError, match=message):
        open_youtube_vos(tmp_path)


def test_lists_in_lists_without_end_are_no_meta_json(tmp_path):
    write_youtube(tmp_path, {})
    (tmp_path / "train/meta.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"cannot read .*meta\.json"):
        open_youtube_vos(tmp_path)


def test_an_index_of_images_stays_below_its_folder(tmp_path):
    for folder in ("JPEGImages", "Annotations"):
        (tmp_path / folder).mkdir()
    (tmp_path / "index.csv").write_text("id\n../../etc/passwd\n")
    with pytest.raises(DataError, match=r"a part of an id in .*index\.csv is called '\.\.'"):
        open_static(tmp_path)
    (tmp_path / "index.csv").write_text(f"id\n{'x' * 200_000}\n")
    with pytest.raises(DataError, match=r"cannot read .*index\.csv .*field larger"):
        open_static(tmp_path)


def test_a_sequence_takes_no_other_names_whatever_made_it(tmp_path):
    files = (tmp_path / "0.jpg",), (tmp_path / "0.png",)
    with pytest.raises(DataError, match=r"a sequence of .* is called '\.\./x'"):
        Sequence("../x", *files)
    with pytest.raises(DataError, match=r"a frame of sequence cat is called 'a\\nb.jpg'"):
        Sequence("cat", (tmp_path / "a\nb.jpg",), files[1])
    with pytest.raises(DataError, match=r"a class of sequence cat is called '\.\.'"):
        Sequence("cat", *files, categories={1: ".."})
    for wrong in (0, -3, 255):
        with pytest.raises(DataError, match=f"object {wrong} of sequence cat: ids are 1 to 254"):
            Sequence("cat", *files, appears={wrong: 0})
    with pytest.raises(DataError, match="two sequences of set are called cat: rename one"):
        VideoSet("set", (Sequence("cat", *files), Sequence("cat", *files)))


def test_a_frame_s_name_that_is_not_utf_8_is_named(tmp_path):
    write_mask(tmp_path / "masks/0.png", np.ones((4, 4)))
    (tmp_path / "frames").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "frames") + b"/caf\xe9.jpg")).touch()
    with pytest.raises(DataError, match=r"a file in .*frames is called 'caf\\udce9.jpg'"):
        open_folder(tmp_path)
