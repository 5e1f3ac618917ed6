"""The table of figures: a function and its caption each, in a file of this folder; new files are found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import wraps
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from bench.record import Record
from reports.figures.style import Drawn, save, theme
from reports.texts import file_name

Draw = Callable[[list[Record], Path], Drawn | Mapping[str, Drawn] | None]
Write = Callable[[list[Record], Path], list[Path]]
FOUND: dict[str, "Entry"] = {}


@dataclass(frozen=True)
class Entry:
    """A figure: what its files are called ("over_time_*": one for each sequence), what it shows, what writes it."""

    name: str
    caption: str
    write: Write

    def caption_of(self, stem: str) -> str:
        head, star, tail = self.name.partition("*")
        return f"{self.caption}: {stem.removeprefix(head).removesuffix(tail)}" if star else self.caption


def figure(name: str, caption: str) -> Callable[[Draw], Write]:
    """Put a function of (records, folder) into the table.

    It draws what the records, or other files of their folder, hold enough for, and returns a figure, None, or,
    where the name has a star, a dict of figures by what stands there. What is put into the table writes them into
    the folder and returns the paths.
    """

    def register(draw: Draw) -> Write:
        @wraps(draw)
        def write(records: list[Record], folder: Path) -> list[Path]:
            with theme():
                drawn = draw(records, Path(folder)) or {}
                parts = drawn if isinstance(drawn, Mapping) else {"": drawn}
                files = {name.replace("*", file_name(part)): each for part, each in parts.items()}
                return [path for file, each in files.items() for path in save(each, folder, file)]

        FOUND[name] = Entry(name, caption, write)
        return write

    return register


def figures() -> list[Entry]:
    """All of them, by the names of their files of source."""
    for module in sorted(module.name for module in iter_modules(__path__)):
        import_module(f"{__name__}.{module}")
    return sorted(FOUND.values(), key=lambda entry: entry.write.__module__)


def captions(paths: list[Path]) -> dict[Path, str]:
    """What these show, in the order of the table; a file that is none of its figures is called by its name."""
    found = {
        path: entry.caption_of(path.stem)
        for entry in figures()
        for path in paths
        if fnmatchcase(path.stem, entry.name)
    }
    return found | {path: path.stem for path in paths if path not in found}


def write_figures(records: list[Record], folder: Path) -> list[Path]:
    """Every figure that these records hold enough for, and figures.md, which shows them with their captions.

    Returns the paths of the files.
    """
    paths = [path for entry in figures() for path in entry.write(records, folder)]
    shown = captions([path for path in paths if path.suffix == ".png"])
    page = Path(folder) / "figures.md"
    if shown:
        lines = [f"{caption}\n\n![{caption}](<{path.name}>)\n" for path, caption in shown.items()]
        page.write_text("# Figures\n\n" + "\n".join(lines), encoding="utf-8")
    return [*paths, *([page] if shown else [])]
