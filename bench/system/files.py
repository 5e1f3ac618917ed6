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

from bench.system.errors import ConfigError, DiskFull

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
    csv.writer(text := StringIO(), lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_json(path: Path, content) -> None:
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path, kind: type = object):
    """The content of a JSON file, or None when it is absent, not of this kind, or damaged by a disk fault."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # also text that is not UTF-8
        return None
    return content if isinstance(content, kind) else None
