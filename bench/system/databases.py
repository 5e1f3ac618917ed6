"""Addresses of databases and servers, and databases that many processes open at once."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import unquote

from filelock import FileLock
from omegaconf import DictConfig

INSTALL_POSTGRESQL = ".venv/bin/python -m pip install -e '.[cluster]' -c constraints.txt"
PATIENCE = 10  # seconds to wait for a connection
BUSY = 60  # seconds to wait for another process's writing, in sqlite
LOCK = 70_11  # an advisory lock of PostgreSQL: any number that nothing else takes


def without_password(url: str | None) -> str | None:
    """The address as it may be shown and stored."""
    return url and re.sub(r"^([\w+]+://[^:/@]*):.*@", r"\1:***@", unquote(url))


def without_passwords(config: DictConfig) -> DictConfig:
    """A copy of the configuration as it may be shown and stored."""
    shown = config.copy()
    shown.tracking_uri = without_password(config.tracking_uri)
    if "search" in config:
        shown.search.storage = without_password(config.search.storage)
    return shown


@contextmanager
def first_use(url: str) -> Iterator[None]:
    """One process at a time opens the database and makes its tables: two at once would break it for good.

    A sqlite file is told to let readers in while it is written. Raises what the driver raises, and soon, for a
    database that cannot be reached.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url
    from sqlalchemy.pool import NullPool

    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        with (
            closing(sqlite3.connect(str(address.database), timeout=BUSY)) as connection,
            FileLock(f"{address.database}.lock"),
        ):
            connection.execute("pragma journal_mode=wal")
            yield
    else:
        is_postgresql = address.get_backend_name() == "postgresql"
        patience = {"connect_timeout": PATIENCE} if is_postgresql else {}
        with create_engine(address, poolclass=NullPool, connect_args=patience).connect() as connection:
            if is_postgresql:  # the lock goes with the connection
                connection.execute(text(f"select pg_advisory_lock({LOCK})"))
            yield
