"""Records as a table: Markdown to read, LaTeX for a paper, csv with the raw numbers."""

import math
from pathlib import Path

import pandas as pd

from bench.record import Record
from reports.comparison import Comparison, compare
from reports.notes import notes
from reports.published import DAVIS, published_columns, two_readings
from reports.rows import SEEN, aggregate, by_sequence, group_rows
from reports.table import Table
from reports.texts import MISSING, difference, interval, shortened, spread, three_digits

COSTS = {
    "Params trained (M)": "params_m",
    "Params full size (M)": "params_m_full",
    "GMACs full size (torch)": "gmacs_full",
    "GMACs full size (fvcore)": "gmacs_fvcore_full",
    "GMACs full size (thop)": "gmacs_thop_full",
    "Latency full size (ms)": "latency_ms_median_full",
    "Peak memory full size (MB)": "memory_mb_peak_full",
    "FPS trained": "fps",
}


def summarize(records: list[Record]) -> pd.DataFrame:
    """The table as text, one row per label in order of first appearance; "—" is what there is not.

    Scores are percent with one decimal, "mean ± sample standard deviation" from two seeds on; a label without
    a successful seed shows its status instead ("failed: <why>"). Seeds is "<succeeded>/<run>" when some did
    not succeed. "Δ J&F" and "95 % interval" are of the row minus its reference (see `compare`). Columns with
    "full size" are of the published network at 480x864 with one object; those with "Published" are joined by
    method and label, or by the method alone (see `published_columns`).
    """
    return _texts(records, _numbers(records, compare(records)))


def write_tables(records: list[Record], folder: Path, title: str) -> list[Path]:
    """Write table.md, table.tex, table.csv and, where there are sequences, sequences.csv; return their paths."""
    paths, sequences = tabulate(records, title).write(folder), by_sequence(records)
    if sequences.empty:
        return paths
    sequences.round(2).to_csv(Path(folder) / "sequences.csv", lineterminator="\n")
    return [*paths, Path(folder) / "sequences.csv"]


def tabulate(records: list[Record], title: str) -> Table:
    """The table of `summarize` without columns that say nothing, and what to know when reading it."""
    compared = compare(records)
    numbers = _numbers(records, compared)
    table, alike = _narrowed(_texts(records, numbers))
    sentences = notes(records, compared)
    if alike:
        sentences.insert(1, f"The same in every row that has it: {'; '.join(alike)}.")
    return Table(title, table, sentences, numbers, [(record.method, record.label) for record in records])


def _narrowed(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table without the columns that tell no rows apart, and what these say; the csv keeps them all."""
    dropped, alike = [], []
    for column in table:
        values = [value for value in table[column] if value != MISSING]
        if not values and column not in ("J&F", "J", "F"):
            dropped.append(column)
        elif column in (*COSTS, "Initialisation") and len(values) > 1 and len(set(values)) == 1:
            dropped.append(column)
            alike.append(f"{column} {values[0]}")
    return table.drop(columns=dropped), alike


def _numbers(records: list[Record], compared: dict[str, Comparison]) -> pd.DataFrame:
    """Raw numbers per label: `aggregate`, the comparison (its reference row has its own name there), and what
    is published. `within_noise` is True, False or empty; `seeds_needed` is empty below two seeds."""
    rows = aggregate(records)
    references = {found.reference for found in compared.values()}
    comparisons = [
        _comparison(compared.get(name), name if name in references else "") for name in rows["label"]
    ]
    columns = pd.DataFrame(comparisons, dtype=object)
    pairs = [(cells[0].method, cells[0].label) for cells in group_rows(records).values()]
    return pd.concat([rows, columns, published_columns(pairs)], axis=1)


def _comparison(found: Comparison | None, reference: str) -> dict:
    return {
        "reference": found.reference if found else reference,
        "jf_difference": found.difference.mean if found else math.nan,
        "jf_difference_low": found.difference.low if found else math.nan,
        "jf_difference_high": found.difference.high if found else math.nan,
        "within_noise": found.difference.within_noise if found else None,
        "seeds_needed": found.seeds_needed if found else None,
    }


def _texts(records: list[Record], rows: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"Method": rows["label"]})
    scores = {"J&F": "jf_mean", "J": "j_mean", "F": "f_mean", "J&F held out": "jf_held_out"}
    for column, field in {**scores, **{_seen(field): field for field in SEEN}}.items():
        table[column] = [spread(*pair) for pair in zip(rows[field], rows[f"{field}_std"], strict=True)]
    cells = group_rows(records)
    none = table["Method"][rows["n"] == 0]
    table.loc[none.index, "J&F"] = [shortened(cells[name][0].status) for name in none]
    table["Seeds"] = [
        f"{n}" if n == cells else f"{n}/{cells}" for n, cells in zip(rows["n"], rows["cells"], strict=True)
    ]
    table["Δ J&F"] = [
        "reference" if row.reference == row.label else difference(row.jf_difference, row.within_noise)
        for row in rows.itertuples()
    ]
    table["95 % interval"] = [
        interval(*ends) for ends in zip(rows["jf_difference_low"], rows["jf_difference_high"], strict=True)
    ]
    for column, field in COSTS.items():
        table[column] = [three_digits(value) for value in rows[field]]
    table["Weights averaged"] = [text or MISSING for text in rows["soup"]]
    table["Initialisation"] = [text or MISSING for text in rows["initialisation"]]
    for short in DAVIS:
        table[f"Published J&F {short.upper()} (full-size network, 480p, not measured)"] = [
            two_readings(*row)
            for row in zip(
                *(rows[f"published_{field}_{short}"] for field in ("jf", "jf_other", "certainty")),
                strict=True,
            )
        ]
    return table


def _seen(field: str) -> str:
    """j_seen -> J seen"""
    return field[0].upper() + field[1:].replace("_", " ")
