"""The address of a store as the name of the file that keeps its runs."""

import pytest

from bench.tracking.store import Store


def name(address: str, runs) -> str:
    return Store(address, runs).name


@pytest.mark.parametrize(
    "address", ["http://me:{}@host:5000", "http://{}@host", "http://host/?token={}", "sqlite:////x.db?key={}"]
)
def test_a_store_has_one_name_whatever_its_password_is(address, tmp_path):
    names = {name(address.format(secret), tmp_path) for secret in ("hunter2", "hunter3", "%40")}
    assert len(names) == 1
    assert "hunter" not in names.pop()


def test_addresses_of_which_the_scheme_alone_is_shown_are_told_apart(tmp_path):
    names = [name(f"http://{host}/?token=hunter@2", tmp_path) for host in ("one", "two")]
    assert len(set(names)) == 2
    assert not any(part in one for one in names for part in ("hunter", "one", "two"))


def test_a_long_address_is_a_short_name(tmp_path):
    names = {name(f"http://host/{'x' * 300}{end}", tmp_path) for end in "ab"}
    assert len(names) == 2 and all(len(one) < 128 for one in names)
