"""Errors and warnings that the command line shows as one line, without a traceback."""

import sys

from datasets.errors import DataError
from methods.errors import MethodError


class ConfigError(ValueError):
    """A configuration key or value is wrong; the message names it and says what to write."""


USER_ERRORS = (ConfigError, DataError, MethodError)


def show_warning(message, *_) -> None:
    """A `warnings.showwarning` that prints one line."""
    print(f"warning: {message}", file=sys.stderr)
