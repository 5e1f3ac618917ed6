"""The table as LaTeX (booktabs): best in bold, second underlined, published figures in grey."""

from collections.abc import Mapping
from itertools import zip_longest
from string import ascii_lowercase
from textwrap import wrap

import pandas as pd

from reports.marks import BEST, SECOND, WORDS, is_published, ranks
from reports.texts import MISSING

MARKS = {BEST: r"\textbf{{{}}}", SECOND: r"\underline{{{}}}", "": "{}"}
SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        # At the start of a row, [ and * would be arguments of the line break before it.
        **{character: f"{{{character}}}" for character in "[*"},
        "|": r"\textbar{}",
        **{character: f"${character}$" for character in "<>"},
        "±": r"$\pm$",
        "—": "--",
        "…": r"\dots{}",
        "ω": r"$\omega$",
        "τ": r"$\tau$",
        "Δ": r"$\Delta$",
    }
)
SOURCE = "Source"
HEADING_WIDTH = 14  # characters in a line of a column's heading


def latex_table(table: pd.DataFrame, title: str, sentences: list[str], better: Mapping[str, str | None]) -> str:
    """A `table*` with the title as caption and the sentences in small print below it.

    Sources, too long for a printed page, stand there too, under letters. better: as of `ranks`.
    """
    if SOURCE in table:
        table, sentences = _lettered(table, sentences)
    columns = "".join("l" if column in WORDS else "r" for column in table)
    cells = [_decorated(table[column], better) for column in table]
    lines = [
        "% needs \\usepackage{booktabs,graphicx,xcolor}",
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{escape(title)}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_heading(list(table.columns)),
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in zip(*cells, strict=True)),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\scriptsize {escape(' '.join(sentences))}}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Plain text for LaTeX, on one line, without what cannot be printed."""
    return "".join(filter(str.isprintable, " ".join(text.split()))).translate(SPECIAL)


def _lettered(table: pd.DataFrame, sentences: list[str]) -> tuple[pd.DataFrame, list[str]]:
    parts = [[name for name in cell.split("; ") if name != MISSING] for cell in table[SOURCE]]
    letters = {
        name: ascii_lowercase[number % 26] * (number // 26 + 1)
        for number, name in enumerate(dict.fromkeys(name for names in parts for name in names))
    }
    cells = [", ".join(letters[name] for name in names) or MISSING for names in parts]
    legend = "; ".join(f"({letter}) {name}" for name, letter in letters.items())
    return table.assign(**{SOURCE: cells}), [*sentences, f"Sources: {legend}."]


def _heading(columns: list[str]) -> list[str]:
    """As many lines as the longest name takes, so that long names stay narrow."""
    names = [wrap(column, HEADING_WIDTH, break_on_hyphens=False) for column in columns]
    return [" & ".join(map(escape, line)) + r" \\" for line in zip_longest(*names, fillvalue="")]


def _decorated(column: pd.Series, better: Mapping[str, str | None]) -> list[str]:
    """Escaped cells: published ones in grey, the best and the second best value marked."""
    colour = r"\textcolor{{gray}}{{{}}}" if is_published(str(column.name)) else "{}"
    marked = zip(column, ranks(column, better), strict=True)
    return [colour.format(MARKS[rank].format(escape(cell))) for cell, rank in marked]
