"""What a cell of a table is: the best of its column, the second, published, or not measured."""

import pandas as pd

LOWER_IS_BETTER = ("Params", "GMACs", "Latency", "Peak")
HIGHER_IS_BETTER = ("J&F", "J", "F", "FPS", "mIoU")
PUBLISHED = "published"  # ends the name of a column whose figures are not ours
BEST, SECOND = "best", "second"


def is_published(column: str) -> bool:
    """Whether the figures of the column are published ones, which stand in grey."""
    return PUBLISHED in column.lower()


def ranks(column: pd.Series) -> list[str]:
    """BEST, SECOND or "" for each cell, by the values as they are displayed.

    The column's first word says which end is the better one; without one of those above, as for speeds on
    several devices, and where all are equal, nothing is marked.
    """
    first, second = _best_two(str(column.name), [number(cell) for cell in column])
    marks = {first: BEST, second: SECOND}
    return [marks[value] if (value := number(cell)) is not None and value in marks else "" for cell in column]


def number(cell: str) -> float | None:
    """The value that a cell shows, without its spread."""
    try:
        return float(cell.partition(" ")[0])
    except ValueError:
        return None


def _best_two(column: str, values: list[float | None]) -> tuple[float | None, float | None]:
    """Best and second best of a column that has a better end; None where all are equal or few are left."""
    quantity = column.replace(",", " ").partition(" ")[0]
    ranked = sorted({value for value in values if value is not None}, reverse=quantity in HIGHER_IS_BETTER)
    if quantity not in (*LOWER_IS_BETTER, *HIGHER_IS_BETTER) or len(ranked) < 2:
        return None, None
    return ranked[0], ranked[1] if len(ranked) > 2 else None
