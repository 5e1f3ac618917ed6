"""Where the files are that records name."""

from pathlib import Path


def located(name: str, folder: Path) -> Path | None:
    """The named file or folder: a relative one is looked up in `folder`, then in the working directory."""
    places = [Path(folder) / name, Path(name)] if name else []
    return next((path for path in places if path.exists()), None)


def file_name(text: str) -> str:
    """The text with `_` for what a file system may not take."""
    return "".join(c if c.isalnum() or c in "_-. " else "_" for c in text)
