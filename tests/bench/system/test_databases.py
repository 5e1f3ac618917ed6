"""Addresses without their secrets, and databases that somebody else holds."""

import re
import sqlite3
import time
from contextlib import closing

import pytest
from generated import OFTEN
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from bench.system import databases
from bench.system.databases import check_free, first_use, hide, without_password, without_passwords


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (None, None),
        ("http://host:5000", "http://host:5000"),
        ("http://[::1]:5000/x", "http://[::1]:5000/x"),
        ("postgresql://me@host/name", "postgresql://me@host/name"),
        ("postgresql+psycopg://me:secret@host:5432/name", "postgresql+psycopg://me:***@host:5432/name"),
        ("postgresql://me:p@ss:w@host/name", "postgresql://me:***@host/name"),
        ("postgresql://me:p%40ss@host/name?sslmode=require", "postgresql://me:***@host/name?sslmode=require"),
        ("postgresql://host/name?password=secret&sslmode=x", "postgresql://host/name?password=***&sslmode=x"),
        ("http://host/?token=secret#secret", "http://host/?token=***#***"),
        ("http://host/?secret", "http://host/?***"),
        ("https://secret@host", "https://***@host"),
        ("http://me:secret", "http://me:***"),
        ("me:secret@host/name", "me:***@host/name"),
        ("postgresql://me:p/ss@host/name", "postgresql://***"),
        ("postgresql://me:p?ss@host/name", "postgresql://***"),
        ("http://host/?mail=a@b", "http://***"),
        ("sqlite:////data/a%20b@c/x.db", "sqlite:////data/a b@c/x.db"),
        ("sqlite:////data/x.db?key=secret", "sqlite:////data/x.db?key=***"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, shown):
    assert without_password(address) == shown


SECRET = st.text(st.sampled_from("ABCDEFG0123456789@:/?#=%[]$ ;'"), min_size=4, max_size=20)


@OFTEN
@given(scheme=st.sampled_from(["http", "postgresql+psycopg", "mysql"]), password=SECRET, other=SECRET)
def test_no_part_of_a_secret_is_shown(scheme, password, other):
    address = f"{scheme}://me:{password}@host/name?password={other}&sslmode=require"
    parts = re.findall("[A-G0-9]{3,}", f"{password} {other}")
    for shown in (without_password(address), hide(f"cannot reach {address}: no", address)):
        assert not [part for part in parts if part in shown]


def test_what_others_quote_of_an_address_is_hidden():
    address = "postgresql://me:hunter%402@host/db?sslpassword=hunter3"
    text = f"no entry for {address} (hunter@2, hunter%402, hunter3)"
    shown = "postgresql://me:***@host/db?sslpassword=***"
    assert hide(text, address) == f"no entry for {shown} (***, ***, ***)"
    assert hide("GET http://me:hunter2@host/x failed") == "GET http://me:***@host/x failed"


def test_a_configuration_is_shown_without_the_secrets_of_any_address():
    given = {
        "tracking_uri": "me:hunter2@host",
        "search": {"storage": "postgresql://me:hunter2@host/x"},
        "arguments": ["+options.url=http://host/?token=hunter2"],
        "options": {"a": None, "b": 1.5},
    }
    config = OmegaConf.create(given)
    shown = without_passwords(config)
    assert "hunter2" not in OmegaConf.to_yaml(shown)
    assert (config.search.storage, shown.options) == (given["search"]["storage"], given["options"])


def test_a_database_that_somebody_holds_is_told_within_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "HELD", 0.1)
    url = f"sqlite:///{tmp_path}/a b.db"
    with first_use(url):
        pass
    check_free(url)
    with closing(sqlite3.connect(tmp_path / "a b.db")) as somebody:
        somebody.execute("begin exclusive")
        start = time.monotonic()
        for use in (lambda: check_free(url), lambda: first_use(url).__enter__()):
            with pytest.raises(sqlite3.OperationalError, match="locked: another process has been writing to it"):
                use()
        assert time.monotonic() - start < 5
    check_free(url)
