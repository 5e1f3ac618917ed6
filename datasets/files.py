"""Files of data as they are met: links that lead nowhere or in circles, devices, texts that are not UTF-8."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import DataError

LARGEST = 2**30  # bytes of a file that is read at once; an image of more is none, and a link may lead to anything
MOST_VISITS = 100  # of one folder: links to folders that link on to others may multiply without end
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}  # all others are devices


def check_regular(path: Path, what: str) -> os.stat_result:
    """The status of a regular file, where links lead. Raises DataError, naming it, for anything else.

    To be asked before a file is opened: a FIFO or a device may block for ever or never end.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise DataError(f"the link {path} leads nowhere: mend it or remove it") from None
        raise DataError(f"{what} not found: {path}") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "a device")
        raise DataError(f"{path} is {kind}, not a file: remove it or put the {what} there")
    return status


def read_file(path: Path, what: str) -> bytes:
    """The bytes of a regular file. Raises DataError as `check_regular` does, and for one of more than 1 GiB."""
    if (size := check_regular(path, what).st_size) > LARGEST:
        raise DataError(f"{path} has {size / 1e9:.1f} GB, which is no {what}: replace it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def read_text(path: Path, what: str) -> str:
    """The text of a file in UTF-8, with or without a mark of that. Raises DataError as `read_file` does."""
    data = read_file(path, what)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path} is not UTF-8 in line {line}: save the {what} as UTF-8") from None


def visible(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, without hidden entries, in order of name. Raises DataError where it cannot be read."""
    return [entry for entry in _entries(folder) if not entry.name.startswith(".")]


def files_below(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(relative path with /, status) of all files below a folder, without hidden ones; links are followed.

    Raises DataError, naming it, for what is neither a folder nor a regular file, cannot be read, or has a name that
    is not UTF-8; and for links that lead nowhere, in circles, or more than 100 times to one folder.
    """
    return _files_below(root, "", {}, Counter())


def _files_below(
    folder: Path, prefix: str, above: dict[tuple[int, int], Path], visits: Counter
) -> Iterator[tuple[str, os.stat_result]]:
    status = folder.stat()
    place = status.st_dev, status.st_ino
    visits[place] += 1
    if place in above:
        raise DataError(f"the link {folder} leads in a circle, to {above[place]}: remove it")
    if visits[place] > MOST_VISITS:
        raise DataError(f"links lead to {folder} more than {MOST_VISITS} times: remove some")
    for entry in _entries(folder):
        path = Path(entry.path)
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise DataError(f"{entry.path!a} has a name that is not UTF-8: rename it") from None
        if _is_folder(entry):
            yield from _files_below(path, f"{prefix}{entry.name}/", {**above, place: folder}, visits)
        elif not entry.name.startswith("."):
            yield prefix + entry.name, check_regular(path, "file")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _unreadable(path: Path, error: Exception) -> DataError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return DataError(f"cannot read {path}: {why}; correct what it is or who may read it")
