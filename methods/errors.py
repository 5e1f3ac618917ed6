"""The one error that every method raises for a user's mistake."""

from pathlib import Path


class MethodError(ValueError):
    """A method was asked for, built or fed wrongly; the message says what to do."""


def check_is_file(weights: str | Path) -> None:
    """Raise MethodError for weights that are a folder, a pipe or a device."""
    path = Path(weights)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise MethodError(f"checkpoint {path} is {kind}: give the file of the weights")
