"""Messages between ranks: whoever does not know the key has nothing unpickled."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.system.errors import RanksError
from bench.train.signed import read_signed, shared_key, sign


class Malice:
    """Leaves a file behind where a pickle of it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def test_what_is_signed_is_read(tmp_path):
    key = shared_key(tmp_path)
    assert read_signed(sign(("train", {"steps": 5}), 3, key), 3, key) == ("train", {"steps": 5})
    assert read_signed(sign(None, 0, key), 0, key) is None


@pytest.mark.parametrize("number", [0, 1])
def test_a_strangers_message_runs_nothing(tmp_path, number):
    key, trace = shared_key(tmp_path), tmp_path / "trace"
    strangers = b"x" * len(key)
    message = sign(Malice(trace), 0, key if number else strangers)  # ours, but sent once more; a stranger's
    for forged in (message, b"", message[: len(message) // 2]):
        with pytest.raises(RanksError, match="need the same folder, runs="):
            read_signed(forged, number, key)
    assert not trace.exists()


def test_all_who_share_the_folder_have_one_key_which_others_cannot_read(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(shared_key, [tmp_path / "runs"] * 8))
    (path,) = (tmp_path / "runs").iterdir()
    assert keys == {path.read_bytes()}
    assert path.stat().st_mode & 0o077 == 0
