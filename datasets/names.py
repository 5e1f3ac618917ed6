"""Names that come from data. They become parts of paths, so each is a single part of one, whoever wrote it."""

import re
from typing import Any

from datasets.errors import DataError

LONGEST = 200  # bytes: file systems take 255, and a suffix and what marks unfinished files are added
_PLAIN = re.compile(r"\w[\w.-]{0,49}", re.ASCII)  # nearly all names: nothing else is looked at
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029]")  # separators and control characters


def checked_name(name: Any, what: str) -> str:
    """The name, of `what` in which file, if it can be a single part of a path.

    Raises DataError, which shows it, for one that is no text, is empty, `.` or `..`, holds a separator (/ or \\) or
    a control character, is not valid Unicode or takes more than 200 bytes of UTF-8.
    """
    if isinstance(name, str) and (_PLAIN.fullmatch(name) or _is_part_of_a_path(name)):
        return name
    raise DataError(
        f"{what} is called {shown(name)}: a name is one part of a path, of at most {LONGEST} bytes, without / "
        f"and \\ and control characters, and neither . nor ..; rename it"
    )


def shown(name: Any) -> str:
    """A name for a message: in ASCII, so that no control character reaches a terminal, and not too long."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


def _is_part_of_a_path(name: str) -> bool:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, or a file's name that is not UTF-8
        return False
    return 0 < size <= LONGEST and name not in (".", "..") and not _FORBIDDEN.search(name)
