"""Errors and warnings that the command line shows as one line, without a traceback."""

import select
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from datasets.errors import DataError
from methods.errors import MethodError

READER_GONE = 128 + 13  # 141, as a shell tells of a process that ended by SIGPIPE
UNSHOWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode's categories of what has no shape of its own


class ConfigError(ValueError):
    """A configuration key or value is wrong; the message names it and says what to write."""


class DiskFull(Exception):
    """Nothing more can be written; the message names the folder. What was there is still whole."""


USER_ERRORS = (ConfigError, DataError, MethodError, DiskFull)


def message_of(error: BaseException) -> str | None:
    """What a user is told of an error; None of a mistake of ours, whose traceback is told.

    Besides USER_ERRORS these are errors of files and of what they hold, of memory, and of code of others that ends
    the program. The file is named: where the error does not, it is the one that was at hand.
    """
    if type(error).__name__ == "DecompressionBombError":  # Pillow's, which loads with the first image alone
        return f"{_at_hand(error)}: {first_line(error)}"
    return next((tell(error) for kind, tell in TOLD if isinstance(error, kind)), None)


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not empty, or else its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def printable(text: object) -> str:
    """As a terminal may show it: what would steer it (escapes, reversed writing) is written as in Python."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in UNSHOWN else c.encode("unicode_escape").decode()
        for c in shown
    )


def say(text: object, file: TextIO | None = None) -> None:
    """Print a line with names in it that others have chosen, by default to stderr."""
    print(printable(text), file=file or sys.stderr, flush=True)


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A `warnings.showwarning` that prints one line."""
    say(f"warning: {message}")


def reader_gone() -> bool:
    """Whether nobody reads what this process prints any more, as after `| head -1`."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        try:
            poll.register(stream, select.POLLOUT)
        except (OSError, ValueError, TypeError):  # no file of the system's
            continue
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _at_hand(error: BaseException) -> str:
    """The file that the innermost function with a path was at."""
    found, trace = "", error.__traceback__
    while trace is not None:
        paths = [str(value) for value in trace.tb_frame.f_locals.values() if isinstance(value, Path)]
        found, trace = (paths or [found])[0], trace.tb_next
    return found or _last_line(error)


def _last_line(error: BaseException) -> str:
    """`file.py:12`, the innermost line of code that was reached."""
    place, trace = "its code", error.__traceback__
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return place


def _of_file(error: OSError) -> str:
    if not error.strerror:  # one of a library's own
        return f"{first_line(error)} (at {_at_hand(error)})"
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' -> '.join(names) or _at_hand(error)}: {error.strerror}"


TOLD: list[tuple[Any, Callable[[Any], str]]] = [
    (USER_ERRORS, str),
    (SystemExit, lambda e: f"{_last_line(e)} ends the program (sys.exit({e.code!r})), which a method must not"),
    (OSError, _of_file),
    (UnicodeEncodeError, lambda e: f"{e.object[:200]!a} cannot be written as {e.encoding}: rename it"),
    (UnicodeError, lambda e: f"{_at_hand(e)} is no text in UTF-8: {e}"),
    (RecursionError, lambda e: f"{_at_hand(e)} is nested too deeply"),
    (MemoryError, lambda e: f"out of memory at {_at_hand(e)}: {first_line(e)}"),
]
