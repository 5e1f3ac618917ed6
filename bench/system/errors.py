"""Errors and warnings that the command line shows as one line, without a traceback."""

import sys

from datasets.errors import DataError
from methods.errors import MethodError


class ConfigError(ValueError):
    """A configuration key or value is wrong; the message names it and says what to write."""


class DiskFull(Exception):
    """Nothing more can be written; the message names the folder. What was there is still whole."""


class RanksError(RuntimeError):
    """Processes that train together have lost one of them; the message says which and what to do."""


USER_ERRORS = (ConfigError, DataError, MethodError, DiskFull, RanksError)


def show_warning(message, *_) -> None:
    """A `warnings.showwarning` that prints one line."""
    print(f"warning: {message}", file=sys.stderr)
