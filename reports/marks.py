"""What a column of a table and its cells are: words or numbers, published, the best of their column, the second."""

from collections.abc import Mapping

import pandas as pd

from bench.record import COLUMNS

PUBLISHED = "published"  # ends the name of a column whose figures are not ours
BEST, SECOND = "best", "second"
WORDS = {column.heading() for column in COLUMNS if column.group == "setting"} | {  # set flush left
    *("Method", "Variant", "Setting", "Dataset", "Device", "Source", "Result", "Title", "Commit")
}
# By the first word of a title, which says the quantity.
BETTER = {
    title.replace(",", " ").split()[0]: column.better
    for column in COLUMNS
    for title in (column.title, column.measured)
    if title
}


def is_published(column: str) -> bool:
    """Whether the figures of the column are published ones, which stand in grey."""
    return PUBLISHED in column.lower()


def ranks(column: pd.Series, better: Mapping[str, str | None]) -> list[str]:
    """BEST, SECOND or "" for each cell, by the values as they are displayed.

    better: "higher" or "lower" by the name of a column; the quantity of others, the first word of the name, says
    which end is the better one. Without one, as for speeds on several devices, and where all are equal, nothing is
    marked.
    """
    name = str(column.name)
    side = better.get(name, BETTER.get(name.replace(",", " ").partition(" ")[0]))
    values = [number(cell) for cell in column]
    ranked = sorted({value for value in values if value is not None}, reverse=side == "higher")
    if side is None or len(ranked) < 2:
        return [""] * len(column)
    marks = {ranked[0]: BEST} | ({ranked[1]: SECOND} if len(ranked) > 2 else {})
    return ["" if value is None else marks.get(value, "") for value in values]


def number(cell: str) -> float | None:
    """The value that a cell shows, without its spread."""
    try:
        return float(cell.partition(" ")[0])
    except ValueError:
        return None
