"""What stands for the files of data: their names and content, wherever they lie and whenever they changed."""

import os
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.plan import fingerprint as module
from bench.plan.cells import Cell, Network
from bench.plan.compose import load_config
from bench.plan.data import locate
from bench.plan.fingerprint import fingerprint
from bench.run.records import blank, here
from datasets.errors import DataError
from datasets.images import read_ids, write_mask


@pytest.fixture
def data(tmp_path) -> Path:
    """Three files that have settled, and a hidden one."""
    (tmp_path / "data/b").mkdir(parents=True)
    for name in ("a.png", "b/a.png", "b/c.txt", ".hidden"):
        (tmp_path / "data" / name).write_text(f"content of {name[-5:]}")
    return tmp_path / "data"


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def settled(monkeypatch) -> None:
    """Files are as old as they say: that of a test have just been written."""
    monkeypatch.setattr(module, "TICK_NS", -(10**12))


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """The files that are hashed."""
    names, honest = [], module._content
    monkeypatch.setattr(module, "_content", lambda named: names.append(named[0]) or honest(named))
    return names


def test_it_does_not_depend_on_where_the_files_lie_nor_on_their_times(data, runs, tmp_path):
    before = fingerprint(data, runs)
    copy = shutil.copytree(data, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    os.utime(copy / "a.png", (1, 1))
    (copy / ".hidden").write_text("other")
    assert fingerprint(copy, runs) == before
    (copy / "a.png").rename(copy / "d.png")
    assert fingerprint(copy, runs) != before


def test_other_content_of_the_same_size_is_other_data(data, runs, settled):
    before, by_names = fingerprint(data, runs), fingerprint(data, runs, "names")
    status = (data / "a.png").stat()
    (data / "a.png").write_text("CONTENT of a.png")
    os.utime(data / "a.png", ns=(status.st_atime_ns, status.st_mtime_ns))  # as tools that keep times do
    assert fingerprint(data, runs) != before
    assert by_names == fingerprint(data, runs, "names") == f"names:{by_names[6:]}"


def test_only_what_has_changed_is_read_again(data, runs, settled, hashed):
    first = fingerprint(data, runs)
    assert sorted(hashed) == ["a.png", "b/a.png", "b/c.txt"]
    assert fingerprint(data, runs) == first
    assert len(hashed) == 3
    (data / "b/c.txt").write_text("new")
    assert fingerprint(data, runs) != first
    assert hashed[3:] == ["b/c.txt"]


def test_a_file_that_has_just_changed_is_read_again(data, runs, hashed):
    """Within one tick of the disk's clock another change would leave size, times and inode as they are."""
    assert fingerprint(data, runs) == fingerprint(data, runs)
    assert len(hashed) == 6


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"files": 5}', "one digit"])
def test_a_damaged_manifest_is_made_anew_with_one_sentence(data, runs, settled, hashed, damage, capsys):
    before = fingerprint(data, runs)
    (manifest,) = (runs / "manifests").glob("*.json")
    text = manifest.read_text()
    digit = text.index('"', text.index("a.png") + 20) + 1
    manifest.write_text(
        damage if damage != "one digit" else f"{text[:digit]}{'01'[text[digit] == '0']}{text[digit + 1 :]}"
    )
    assert fingerprint(data, runs) == before
    assert re.fullmatch(r"warning: .*manifests/\w+\.json is damaged.* made anew\n", capsys.readouterr().err)
    assert len(hashed) == 6
    assert fingerprint(data, runs) == before
    assert len(hashed) == 6


def test_without_room_for_a_manifest_it_is_the_same(data, runs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="manifests/.* cannot be written .*all files are read again next time"):
        assert fingerprint(data, tmp_path / "file") == fingerprint(data, runs)


def test_what_was_read_until_it_was_stopped_is_not_read_again(data, runs, settled, monkeypatch):
    honest, seen = module._content, []

    def content(named):
        seen.append(named[0])
        if len(seen) == 2:
            raise KeyboardInterrupt
        return honest(named)

    for number in range(40):
        (data / f"{number}.txt").write_text(str(number))
    monkeypatch.setattr(module, "_content", content)
    monkeypatch.setattr(module, "ThreadPool", lambda _: OneByOne())
    with pytest.raises(KeyboardInterrupt):
        fingerprint(data, runs)
    fingerprint(data, runs)
    assert seen[0] not in seen[1:]
    assert seen[1] in seen[2:]


class OneByOne:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def imap(self, function, items, chunksize):
        return map(function, items)


def test_a_file_alone_has_one_too(data, runs, settled, hashed, tmp_path):
    """As job=segment's video."""
    before = fingerprint(data / "a.png", runs)
    shutil.copy(data / "a.png", tmp_path / "other.mp4")
    assert fingerprint(tmp_path / "other.mp4", runs) == before == fingerprint(data / "a.png", runs)
    assert len(hashed) == 2
    (data / "a.png").write_text("CONTENT of a.png")
    assert fingerprint(data / "a.png", runs) != before
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DataError, match="fifo is a FIFO"):
        fingerprint(tmp_path / "fifo", runs)


def test_two_at_a_time_read_the_files_once(data, runs, settled, hashed, monkeypatch):
    honest = module._contents

    def slow(*given):
        time.sleep(0.1)
        yield from honest(*given)

    monkeypatch.setattr(module, "_contents", slow)
    monkeypatch.setattr("bench.system.locks.SECONDS_BETWEEN_LOOKS", 0.01)
    found: list[str] = []
    both = [threading.Thread(target=lambda: found.append(fingerprint(data, runs))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found[0] == found[1]
    assert len(hashed) == 3


def test_masks_of_the_same_size_that_are_replaced_are_evaluated_anew(tiny_run, tiny_davis, tmp_path):
    root = shutil.copytree(tiny_davis, tmp_path / "davis")
    masks = sorted((root / "Annotations/480p").glob("val-*/*.png"))
    for path in masks:
        pad(path)
    arguments = ["job=evaluate", "method=copy_first_mask", f"dataset.root={root}"]
    assert tiny_run(*arguments) == 0
    (before,) = tiny_run.records
    for path in masks:
        write_mask(path, read_ids(path)[:, :: -1 if path.stem > "00000" else 1])
        pad(path)
    assert tiny_run(*arguments) == 0
    (after,) = tiny_run.records
    assert after.jf_mean < before.jf_mean
    assert before.fingerprint == after.fingerprint == "content"


def pad(path: Path) -> None:
    """To a size that all have: what comes after the end of a PNG is not read."""
    path.write_bytes(path.read_bytes().ljust(4000, b"\0"))


def test_names_in_place_of_content_are_said_in_the_record_and_in_the_key(tiny_davis, tmp_path):
    cells = {}
    for how in ("content", "names"):
        arguments = ["job=evaluate", "method=copy_first_mask", "dataset=davis2017", f"dataset.root={tiny_davis}"]
        config = load_config([*arguments, f"fingerprint={how}", "device=cpu"])
        cells[how] = Cell("x", Network("copy_first_mask"), locate(config, "dataset", tmp_path), 0)
        assert blank(cells[how], here(config, tmp_path)).fingerprint == how
    assert cells["names"].dataset["fingerprint"].startswith("names:")
    assert cells["names"].key != cells["content"].key


def test_another_word_is_a_mistake(capsys):
    assert main(["fingerprint=size"]) == 2
    assert "unknown fingerprint 'size'; known: content, names" in capsys.readouterr().err
