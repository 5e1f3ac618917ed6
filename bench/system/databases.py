"""Addresses of databases and servers, and databases that many processes open at once."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import unquote

from omegaconf import DictConfig, OmegaConf

INSTALL_POSTGRESQL = ".venv/bin/python -m pip install -e '.[cluster]' -c constraints.txt"
PATIENCE = 10  # seconds to wait for a connection
BUSY = 60  # seconds to wait for another process's writing, in sqlite
HELD = 5  # seconds after which a database that somebody keeps writing to counts as held
LOCK = 70_11  # an advisory lock of PostgreSQL: any number that nothing else takes
HIDDEN = "***"
# Parameters of an address that are no secrets: any other may be one, whatever it is called.
HARMLESS = {"sslmode", "sslrootcert", "charset", "driver", "host", "port", "dbname", "application_name", "timeout",
            "connect_timeout", "mode", "uri"}  # fmt: skip
ADDRESS = re.compile(r"[\w.+-]+://[^\s'\"]+")


def without_password(address: str | None) -> str | None:
    """The address as it may be shown and stored: without password, nor parameters that may be secret.

    Nothing but the scheme is left of one that can be read in several ways, as a password is in it as it is.
    """
    return address and _hidden(address)[0]


def hide(text: str, *addresses: str | None) -> str:
    """The text without the secrets of these addresses, which others may have quoted in part, or of any in it."""
    for address in filter(None, addresses):
        shown, secrets = _hidden(address)
        text = text.replace(address, shown)
        for secret in sorted({*secrets, *map(unquote, secrets)} - {"", HIDDEN}, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
    return ADDRESS.sub(lambda found: _hidden(found[0])[0], text)


def without_passwords(config: DictConfig) -> DictConfig:
    """A copy of the configuration as it may be shown and stored."""

    def shown(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shown(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [shown(inner) for inner in value]
        return without_password(value) if isinstance(value, str) and "://" in value else value

    found = shown(OmegaConf.to_container(config))
    found["tracking_uri"] = without_password(found["tracking_uri"])
    return OmegaConf.create(found)


def _hidden(address: str) -> tuple[str, list[str]]:
    """An address without its secrets, as a person would write it, and these."""
    scheme, there, rest = address.partition("://")
    if not there:
        scheme, rest = "", address
    parts = re.fullmatch(r"([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", rest, re.DOTALL)
    assert parts is not None
    authority, place, query, fragment = parts.groups("")
    if "@" in place + query + fragment and (authority or not there):  # of a password, or of a path?
        return f"{scheme}{there}{HIDDEN}", [rest, rest.rpartition("@")[0]]
    user, at, host = authority.rpartition("@")
    name, colon, password = user.partition(":")
    secrets = [password, fragment[1:]]
    if at and not colon and scheme.endswith(("http", "https")):  # a token
        name, secrets = HIDDEN, [name, fragment[1:]]
    host, port, number = host.partition(":") if host[:1] != "[" else (host, "", "")
    if not number.isdecimal():  # a password, where the @ and the host are forgotten
        number, secrets = HIDDEN * bool(number), [*secrets, number]
    pairs = [part.partition("=") for part in query[1:].split("&")] if query else []
    secrets += [value or key for key, _, value in pairs if key.lower() not in HARMLESS]
    kept = (f"{k}{e}{v if k.lower() in HARMLESS else HIDDEN}" if e else HIDDEN for k, e, v in pairs)
    shown = f"{scheme}{there}{unquote(name)}{f':{HIDDEN}' * bool(colon)}{at}{host}{port}{number}{unquote(place)}"
    return f"{shown}{query[:1]}{'&'.join(kept)}{f'#{HIDDEN}' * bool(fragment)}", secrets


@contextmanager
def first_use(url: str) -> Iterator[None]:
    """One process at a time opens the database and makes its tables: two at once would break it for good.

    A sqlite file is told to let readers in while it is written. Raises what the driver raises, and soon, for a
    database that cannot be reached or that another process holds.
    """
    from filelock import FileLock, Timeout
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.pool import NullPool

    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(address.database), timeout=HELD)) as connection:
            try:
                turn = FileLock(f"{address.database}.lock").acquire(timeout=BUSY)
            except Timeout:
                raise sqlite3.OperationalError("the database is locked: another process makes its tables") from None
            with turn:
                check_free(url)
                connection.execute("pragma journal_mode=wal")
                yield
    else:
        is_postgresql = address.get_backend_name() == "postgresql"
        patience = {"connect_timeout": PATIENCE} if is_postgresql else {}
        with create_engine(address, poolclass=NullPool, connect_args=patience).connect() as connection:
            if is_postgresql:  # the lock goes with the connection
                connection.execute(text(f"select pg_advisory_lock({LOCK})"))
            yield


def check_free(url: str) -> None:
    """Return as soon as a sqlite database can be written to; of other databases nothing is asked.

    Raises sqlite3.OperationalError where another process holds it for seconds, and where it cannot be opened.
    """
    from sqlalchemy.engine import make_url

    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return
    with closing(sqlite3.connect(str(address.database), timeout=HELD)) as connection:
        try:
            connection.execute("begin immediate")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise sqlite3.OperationalError(
                f"the database is locked: another process has been writing to it for {HELD} s"
            ) from None
        connection.rollback()
