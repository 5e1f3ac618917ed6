"""The table as LaTeX (booktabs): best in bold, second underlined."""

from itertools import zip_longest
from textwrap import wrap

import pandas as pd

from reports.rows import TEXTS

LOWER_IS_BETTER = ("Params", "GMACs", "Latency", "Peak")
HIGHER_IS_BETTER = ("J&F", "J", "F", "FPS")
SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # at the start of a row, [ and * would be arguments of the line break before it
    "*": "{*}",
    "|": r"\textbar{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
    "—": "--",
    "…": r"\dots{}",
    "ω": r"$\omega$",
    "τ": r"$\tau$",
    "Δ": r"$\Delta$",
}
HEADING_WIDTH = 14  # characters in a line of a column's heading


def latex_table(table: pd.DataFrame, title: str, sentences: list[str]) -> str:
    """A `table*` with the title as caption and the sentences in small print below it."""
    columns = "".join("l" if column in TEXTS else "r" for column in table)
    cells = pd.DataFrame({column: _decorated(table[column]) for column in table})
    lines = [
        "% needs \\usepackage{booktabs,graphicx}",
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
        *(" & ".join(row) + r" \\" for row in cells.to_numpy().tolist()),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\scriptsize {escape(' '.join(sentences))}}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Plain text for LaTeX, on one line."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def _heading(columns: list[str]) -> list[str]:
    """As many lines as the longest name takes, so that long names stay narrow."""
    names = [wrap(column, HEADING_WIDTH, break_on_hyphens=False) for column in columns]
    return [" & ".join(map(escape, line)) + r" \\" for line in zip_longest(*names, fillvalue="")]


def _decorated(column: pd.Series) -> list[str]:
    """Escaped cells, with the best and the second best value marked as they are displayed."""
    first, second = _best_two(str(column.name), [_number(cell) for cell in column])
    return [_mark(cell, _number(cell), first, second) for cell in column]


def _mark(cell: str, value: float | None, first: float | None, second: float | None) -> str:
    text = escape(cell)
    if value is None or value not in (first, second):
        return text
    return rf"\textbf{{{text}}}" if value == first else rf"\underline{{{text}}}"


def _best_two(column: str, values: list[float | None]) -> tuple[float | None, float | None]:
    """Best and second best of a column that has a better end; None where all are equal or few are left."""
    quantity = column.partition(" ")[0]
    ranked = sorted({value for value in values if value is not None}, reverse=quantity in HIGHER_IS_BETTER)
    if quantity not in (*LOWER_IS_BETTER, *HIGHER_IS_BETTER) or len(ranked) < 2:
        return None, None
    return ranked[0], ranked[1] if len(ranked) > 2 else None


def _number(cell: str) -> float | None:
    """The value that a cell shows, without its spread."""
    try:
        return float(cell.partition(" ")[0])
    except ValueError:
        return None
