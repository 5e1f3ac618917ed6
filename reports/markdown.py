"""A table as Markdown."""

from collections.abc import Sequence

import pandas as pd

from reports.marks import WORDS


def markdown_page(table: pd.DataFrame, title: str, sentences: list[str], appendix: Sequence[str]) -> str:
    """Title, table, the sentences as a list, and the lines of the appendix."""
    lines = [f"# {title}", "", *markdown_table(table), "", *(f"- {_one_line(s)}" for s in sentences)]
    return "\n".join([*lines, *appendix]) + "\n"


def markdown_table(table: pd.DataFrame) -> list[str]:
    """Its lines; numbers, which stand at the right, are texts already."""
    rules = ["---" if column in WORDS else "---:" for column in table]
    rows = [list(table.columns), rules, *table.to_numpy().tolist()]
    return ["| " + " | ".join(_one_line(cell).replace("|", r"\|") for cell in row) + " |" for row in rows]


def _one_line(text: str) -> str:
    return " ".join(text.split())
