"""All files of a folder of results, and what a terminal shows of them."""

from pathlib import Path

from bench.record import Record
from reports.compact import compact, sentences
from reports.figures import write_figures
from reports.figures.errors import error_films
from reports.measure import compact_measured, write_measured
from reports.next_steps import next_steps, read_settings
from reports.screen import Screen
from reports.search import compact_search, write_search_table
from reports.tables import tabulate, write_table

# The first that is there is worth opening beside the table.
PICTURES = {
    "overlays.png": "masks over frames of a video, a row a method",
    "measure.png": "costs of all methods",
    "history.png": "what the trials reached",
    "figures.md": "all figures with their captions",
}


def write_all(records: list[Record], folder: Path, title: str) -> Screen:
    """Write tables and figures into the folder: of what was measured or searched, where that left its file."""
    lines: list[str] = []
    if (folder / "measure.json").is_file():  # nothing was scored
        page, shown = write_measured(folder), compact_measured(folder)
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    elif (folder / "search.json").is_file():
        page, shown = write_search_table(folder, title), compact_search(folder)
    else:
        table = tabulate(records, title)
        page, *_ = write_table(table, records, folder)
        error_films(records, folder)
        shown = compact(records, table.numbers)
        lines = sentences(records, shown)
    write_figures(records, folder)
    return Screen(
        title, shown, lines, _worth_opening(page, folder), next_steps(records, read_settings(folder), folder)
    )


def _worth_opening(page: Path, folder: Path) -> list[tuple[Path, str]]:
    found = [(folder / name, what) for name, what in PICTURES.items() if (folder / name).is_file()]
    return [(page, "every column, with its notes"), *found[:1]]
