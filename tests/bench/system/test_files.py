"""What a job writes under names from elsewhere stays below the folder that it owns."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.system.errors import ConfigError
from bench.system.files import drop_unfinished, inside

parts = st.one_of(
    st.text(alphabet="./\\a\0\n\ud800é", max_size=6),
    st.sampled_from(["..", "link", "file", "circle", "/etc", "x" * 300, "../own-not", "..//own/x"]),
)


@settings(
    max_examples=500,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
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
