"""Tables of measured numbers as lines of Markdown."""

from typing import Any

from reports.texts import MISSING, markdown_cell, three_digits

TEXTS = ("Method", "Protocol", "Counter", "stage")  # the columns that stand at the left


def table(rows: list[dict[str, Any]]) -> list[str]:
    """A line a row, the columns being the keys of the first; none without rows."""
    if not rows:
        return []
    rules = ["---" if column in TEXTS else "---:" for column in rows[0]]
    cells = [[cell(value) for value in row.values()] for row in rows]
    return ["| " + " | ".join(map(markdown_cell, line)) + " |" for line in (list(rows[0]), rules, *cells)]


def cell(value: Any) -> str:
    """A number with about three significant digits and no exponent; whole ones and texts as they are."""
    if value is None:
        return MISSING
    if isinstance(value, list):
        return " ".join(map(cell, value))
    return three_digits(value) if isinstance(value, float) else str(value)
