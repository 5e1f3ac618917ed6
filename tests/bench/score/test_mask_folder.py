"""Masks that some tool wrote, as a method among others."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.record import Record
from datasets.images import read_mask, write_mask


@pytest.fixture
def copied(tiny_run, tmp_path) -> tuple[Path, Record]:
    """A folder of the masks that copy_first_mask gives, and its record."""
    tiny_run("job=evaluate", "method=copy_first_mask")
    folder = next(tiny_run.runs.glob("cells/copy_first_mask*")) / "masks"
    return Path(shutil.copytree(folder, tmp_path / "theirs")), tiny_run.records[0]


def test_they_are_judged_as_the_method_that_wrote_them(tiny_run, copied):
    folder, theirs = copied
    for sequence in folder.iterdir():
        (sequence / "00000.png").unlink()  # the first is given and the last is not evaluated
        (sequence / "00004.png").unlink()
    assert tiny_run("job=compare", f"methods=[masks:{folder},copy_first_mask]") == 0
    record, again = tiny_run.records
    assert (record.label, record.method, record.jf_mean) == ("theirs", "masks:theirs", theirs.jf_mean)
    assert (record.fps, record.latency_ms_median, record.params_m) == (None, None, None)
    assert (record.frames, record.per_sequence) == (again.frames, again.per_sequence)


def test_edited_masks_are_judged_anew(tiny_run, copied):
    folder, theirs = copied
    tiny_run("job=evaluate", f"method=masks:{folder}")
    (before,) = tiny_run.records
    for file in folder.glob("val-000/*.png"):
        write_mask(file, np.zeros_like(read_mask(file)))
    tiny_run("job=evaluate", f"method=masks:{folder}")
    (after,) = tiny_run.records
    assert after.jf_mean < before.jf_mean == theirs.jf_mean
    assert after.config_hash != before.config_hash


def test_what_is_missing_of_another_size_or_no_object_is_named(tiny_run, copied, told):
    folder, _ = copied
    mask = read_mask(folder / "val-000/00002.png")
    mask[:2] = 77
    write_mask(folder / "val-000/00002.png", mask)
    write_mask(folder / "val-001/00002.png", np.zeros((10, 20), np.uint8))
    assert tiny_run("job=evaluate", f"method=masks:{folder}") == 2
    unknown, error = told()
    assert "masks of val-000 hold id 77, which is no object there" in unknown
    assert re.search(r"mask .*val-001/00002.png is 10x20 but the truth .* is 48x64", error)
    (folder / "val-001/00003.png").unlink()
    assert tiny_run("job=compare", f"methods=[mobilevos_r18,masks:{folder}]") == 2
    text = r"no mask .*val-001/00003.png \(1 of 3 judged ones are missing"
    assert re.search(text, told()[-1])
    assert not (tiny_run.runs / "trained").exists()  # told before anything was trained
