"""Files of data that are none: links that lead nowhere or in circles, devices; what cannot be read."""

import os
import socket
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from datasets.errors import DataError
from datasets.files import files_below, read_file, read_text
from datasets.folder import open_folder
from datasets.images import frame_size, read_drawn_mask, read_frame, read_ids, write_mask
from datasets.static import open_photos
from datasets.video import open_video


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:  # a socket's path is short
        socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


OTHERS = {
    "FIFO": (fifo, "is a FIFO, not a file"),
    "socket": (listening, "is a socket, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
    "folder": (Path.mkdir, "is a folder, not a file"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "leads nowhere"),
    "circle": (lambda path: path.symlink_to(path), "(symbolic links|leads in a circle)"),
}


@pytest.fixture(params=OTHERS)
def other(request, tmp_path) -> tuple[Path, str]:
    """A path called 00000.jpg at which there is no regular file, and what is said of it."""
    make, said = OTHERS[request.param]
    path = tmp_path / "frames" / "00000.jpg"
    path.parent.mkdir()
    make(path)
    return path, rf"00000\.jpg.*{said}"


@pytest.mark.parametrize("read", [read_frame, frame_size, read_ids, read_drawn_mask])
def test_only_regular_files_are_read(other, read):
    path, said = other
    with pytest.raises(DataError, match=said):
        read(path)


def test_a_frame_that_is_no_file_is_told_when_the_data_are_opened(other):
    path, said = other
    write_mask(path.parent.parent / "masks/00000.png", np.ones((4, 4)))
    with pytest.raises(DataError, match=said):
        open_folder(path.parent.parent)


def test_a_video_that_is_no_file_is_named(tmp_path):
    pytest.importorskip("av")
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(DataError, match=r"clip\.mp4 is a FIFO"):
        open_video(tmp_path / "clip.mp4")


def test_anything_but_folders_and_regular_files_is_named_wherever_it_is_below(other):
    path, said = other
    root = path.parent.parent
    if path.is_dir():
        assert list(files_below(root)) == []
        return
    with pytest.raises(DataError, match=said):
        list(files_below(root))
    with pytest.raises(DataError, match=said):
        open_photos(root)


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "data/a/0.jpg").touch()
    (tmp_path / "data/b").symlink_to("a")
    assert [name for name, _ in files_below(tmp_path / "data")] == ["a/0.jpg", "b/0.jpg"]
    (tmp_path / "data/a/up").symlink_to("..")
    with pytest.raises(DataError, match=r"a/up leads in a circle, to .*data: remove it"):
        list(files_below(tmp_path / "data"))


def test_links_that_multiply_have_an_end(tmp_path):
    folders = [tmp_path / str(number) for number in range(40)]
    for folder, inner in pairwise(folders):
        folder.mkdir()
        for name in "ab":
            (folder / name).symlink_to(inner)
    folders[-1].mkdir()
    with pytest.raises(DataError, match=r"links lead to .* more than 100 times"):
        list(files_below(folders[0]))


def test_a_name_that_is_not_utf_8_is_named_wherever_it_is(tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(tmp_path / "deep/er") + b"/\xff.txt")).touch()
    with pytest.raises(DataError, match=r"deep/er/\\udcff\.txt' has a name that is not UTF-8: rename it"):
        list(files_below(tmp_path))


def test_what_nobody_may_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/0.jpg").touch()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuse)
        with pytest.raises(DataError, match=r"cannot read .*0\.jpg: Permission denied; .* who may read it"):
            read_file(tmp_path / "data/0.jpg", "frame")
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"cannot read .*data: Permission denied"):
        list(files_below(tmp_path / "data"))


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    with (tmp_path / "0.jpg").open("wb") as file:
        file.truncate(5 * 10**9)
    with pytest.raises(DataError, match=r"0\.jpg has 5\.0 GB, which is no frame"):
        read_frame(tmp_path / "0.jpg")


def test_a_path_that_no_file_can_have_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_file(tmp_path / ("x" * 300), "frame")
    with pytest.raises(DataError, match="cannot read"):
        read_file(tmp_path / "a\0b", "frame")


def test_a_text_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "val.txt").write_bytes(b"\xef\xbb\xbfcat\n")
    assert read_text(tmp_path / "val.txt", "list") == "cat\n"
