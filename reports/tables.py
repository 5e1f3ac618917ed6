"""Records as a table: Markdown to read, LaTeX for a paper, csv with the raw numbers."""

import math
from pathlib import Path

import pandas as pd

from bench.record import Record
from reports.latex import latex_table
from reports.markdown import markdown_page
from reports.notes import notes
from reports.rows import MISSING, aggregate, group_rows

LONGEST_FAILURE = 60  # characters in a cell of the table; the note below it has the rest


def summarize(records: list[Record]) -> pd.DataFrame:
    """The table as text, one row per label in order of first appearance.

    Scores are percent with one decimal, "mean ± sample standard deviation" from two seeds on; a label without
    a successful seed shows "failed: <why>" instead. Seeds is "<succeeded>/<run>" when some failed.
    Columns with "full size" are of the published network at 480x864 with one object.
    """
    rows = aggregate(records)
    table = pd.DataFrame({"Method": rows["label"]})
    for column, field in {"J&F": "jf_mean", "J": "j_mean", "F": "f_mean"}.items():
        table[column] = [_score(*pair) for pair in zip(rows[field], rows[f"{field}_std"], strict=True)]
    failed = table["Method"][rows["n"] == 0]
    cells = group_rows(records)
    table.loc[failed.index, "J&F"] = [f"failed: {_short(cells[name][0].status)}" for name in failed]
    table["Seeds"] = [
        f"{n}" if n == cells else f"{n}/{cells}" for n, cells in zip(rows["n"], rows["cells"], strict=True)
    ]
    for column, field in {
        "Params trained (M)": "params_m",
        "Params full size (M)": "params_m_full",
        "GMACs full size (torch)": "gmacs_full",
        "GMACs full size (fvcore)": "gmacs_fvcore_full",
        "GMACs full size (thop)": "gmacs_thop_full",
        "Latency full size (ms)": "latency_ms_median_full",
        "FPS trained": "fps",
    }.items():
        table[column] = [three_digits(value) for value in rows[field]]
    table["Initialisation"] = rows["initialisation"]
    return table


def write_tables(records: list[Record], folder: Path, title: str) -> list[Path]:
    """Write table.md, table.tex and table.csv into `folder` and return their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # A column that nobody measured says nothing: the csv alone keeps it.
    table = summarize(records)
    table = table.loc[
        :, [not (table[column] == MISSING).all() or column in ("J&F", "J", "F") for column in table]
    ]
    sentences = notes(records)
    texts = {
        "table.md": markdown_page(table, title, sentences, [record.method for record in records]),
        "table.tex": latex_table(table, title, sentences),
        "table.csv": aggregate(records).to_csv(index=False, lineterminator="\n"),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _score(mean: float, spread: float) -> str:
    if math.isnan(mean):
        return MISSING
    return f"{mean:.1f}" if math.isnan(spread) else f"{mean:.1f} ± {spread:.1f}"


def three_digits(value: float) -> str:
    """A positive number with about three significant digits and no exponent."""
    if math.isnan(value):
        return MISSING
    if value == 0:
        return "0"
    return f"{value:.{min(3, max(0, 2 - math.floor(math.log10(value))))}f}"


def _short(reason: str) -> str:
    """The reason of a failure on one line that fits a cell."""
    reason = " ".join(reason.split())
    return reason if len(reason) <= LONGEST_FAILURE else reason[: LONGEST_FAILURE - 1] + "…"
