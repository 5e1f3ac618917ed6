"""Where the files are that records name."""

from pathlib import Path


def located(name: str, folder: Path) -> Path | None:
    """The named file, a relative one looked up in `folder`, then in the working directory; None: not there."""
    places = (Path(folder) / name, Path(name))
    return next((path for path in places if name and path.is_file()), None)
