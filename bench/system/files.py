"""Writing files so that a kill at any moment leaves the old or the new one, never half."""

import csv
import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from bench.record import as_cell
from bench.system.errors import ConfigError, DiskFull, say
from bench.system.shapes import fits

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TEMPORARY = "tmp"


def inside(folder: Path, *parts: str) -> Path:
    """The place of these names below a folder that a job owns: for what is written under names from elsewhere.

    Raises ConfigError where it leads out of the folder, also by a link.
    """
    path = folder.joinpath(*parts)
    try:
        within = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # links in a circle, a name that no path can have
        within = False
    if not within:
        raise ConfigError(
            f"{path} leads out of {folder}, where nothing may be written: remove the link or rename it"
        )
    return path


def replace_atomically(path: Path, write) -> None:
    """Call `write(temporary path)`, then move the result over `path`. Raises DiskFull."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{TEMPORARY}{path.suffix}")
    with room_in(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_checkpoint(path: Path, content: dict) -> None:
    """`torch.save` by way of a Python file, which says why it cannot be written; torch's own does not."""
    import torch  # two seconds: not for those who write JSON alone

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            torch.save(content, file)

    replace_atomically(path, write)


def drop_unfinished(folder: Path) -> None:
    """Remove what a killed process was writing below the folder. Nobody else may be writing there."""
    for path in folder.rglob(f".*.{TEMPORARY}*"):
        if not path.is_dir():
            path.unlink(missing_ok=True)


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Errors for want of space, also those that others have wrapped, as DiskFull."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno in NO_ROOM:
                raise DiskFull(
                    f"no space left to write to {folder}: make some, then give the same command again; it goes on"
                ) from error
            cause = cause.__cause__ or cause.__context__
        raise


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def full_path(path: str | None) -> str | None:
    """What the user wrote as an absolute path; None for none."""
    return str(Path(path).expanduser().absolute()) if path else None


def write_text(path: Path, text: str) -> None:
    replace_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    csv.writer(text := StringIO(), lineterminator="\n").writerows(map(as_cell, row) for row in rows)
    return text.getvalue()


def write_json(path: Path, content) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path, shape: Any = object):
    """The content of a JSON file of this shape (see `fits`); None when it is absent.

    None too when it is damaged by a disk fault or is other JSON: it is then set aside, which is told, so that what
    it was for can be made anew.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, IsADirectoryError):  # also text that is not UTF-8
        content = None
    if content is not None and fits(content, shape):
        return content
    set_aside(path)
    return None


def aside(path: Path) -> Path:
    """Where a file is kept that cannot be used."""
    return path.with_name(f"{path.name}.damaged")


def set_aside(path: Path) -> None:
    """Rename what cannot be used, and say so. On a disk that is only read it stays."""
    try:
        path.replace(aside(path))
    except OSError:
        return
    say(f"warning: {path} is damaged, or not what this suite writes there: kept as {aside(path).name}, made anew")
