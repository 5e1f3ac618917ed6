"""Errors and warnings that the command line shows as one line, without a traceback."""

import sys
from typing import Any

from datasets.errors import DataError
from methods.errors import MethodError


class ConfigError(ValueError):
    """A configuration key or value is wrong; the message names it and says what to write."""


class DiskFull(Exception):
    """Nothing more can be written; the message names the folder. What was there is still whole."""


USER_ERRORS = (ConfigError, DataError, MethodError, DiskFull)


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not empty, or else its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A `warnings.showwarning` that prints one line."""
    print(f"warning: {message}", file=sys.stderr)
