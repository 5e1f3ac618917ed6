"""One table in the three forms of a file: Markdown to read, LaTeX for a paper, csv for whatever else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from bench.record import as_cell
from reports.latex import latex_table
from reports.marks import WORDS
from reports.texts import markdown_cell, plain_markdown


@dataclass(frozen=True)
class Table:
    """A table to be shown and written: texts by column, sentences below them, and the raw numbers for the csv.

    Its Markdown ends with the lines of `appendix`. better: "higher" or "lower" for columns that are no fields of a
    record.
    """

    title: str
    texts: pd.DataFrame
    sentences: list[str]
    numbers: pd.DataFrame
    appendix: Sequence[str] = ()
    better: Mapping[str, str | None] = field(default_factory=dict)

    def write(self, folder: Path, name: str = "table") -> list[Path]:
        """Write `name`.md, .tex and .csv into `folder` and return their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            ".md": markdown_page(self.texts, self.title, self.sentences, self.appendix),
            ".tex": latex_table(self.texts, self.title, self.sentences, self.better),
            ".csv": csv_text(self.numbers),
        }
        for ending, text in texts.items():
            (folder / f"{name}{ending}").write_text(text, encoding="utf-8")
        return [folder / f"{name}{ending}" for ending in texts]


def markdown_page(table: pd.DataFrame, title: str, sentences: list[str], appendix: Sequence[str]) -> str:
    """Title, table, the sentences as a list, and the lines of the appendix."""
    lines = [f"# {plain_markdown(title)}", "", *markdown_table(table), "", *markdown_list(sentences)]
    return "\n".join([*lines, *appendix]) + "\n"


def markdown_table(table: pd.DataFrame) -> list[str]:
    """Its lines; numbers, which stand at the right, are texts already."""
    rules = ["---" if column in WORDS else "---:" for column in table]
    rows = [list(table.columns), rules, *table.to_numpy().tolist()]
    return ["| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows]


def markdown_list(sentences: Sequence[str]) -> list[str]:
    return [f"- {plain_markdown(sentence)}" for sentence in sentences]


def csv_text(numbers: pd.DataFrame) -> str:
    """Lines of a csv file that no spreadsheet takes for formulas."""
    return numbers.rename(columns=as_cell).map(as_cell).to_csv(index=False, lineterminator="\n")
