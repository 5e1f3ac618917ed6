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


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A `warnings.showwarning` that prints one line."""
    print(f"warning: {message}", file=sys.stderr)
