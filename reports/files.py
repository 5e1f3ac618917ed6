"""Where the files are that records name."""

from pathlib import Path


def located(name: str, folder: Path) -> Path | None:
    """The named file, a relative one looked up in `folder`, then in the working directory; None: not there."""
    return next((path for path in _places(name, folder) if path.is_file()), None)


def located_folder(name: str, folder: Path) -> Path | None:
    """As `located`, of a folder."""
    return next((path for path in _places(name, folder) if path.is_dir()), None)


def file_name(text: str) -> str:
    """The text with `_` for what a file system may not take."""
    return "".join(c if c.isalnum() or c in "_-. " else "_" for c in text)


def _places(name: str, folder: Path) -> list[Path]:
    return [Path(folder) / name, Path(name)] if name else []
