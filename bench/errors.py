"""Errors that the command line shows as one line, without a traceback."""

from datasets.errors import DataError
from methods.errors import MethodError


class ConfigError(ValueError):
    """A configuration key or value is wrong; the message names it and says what to write."""


USER_ERRORS = (ConfigError, DataError, MethodError)
