"""Records as a table: Markdown to read, LaTeX for a paper, csv with the raw numbers."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from bench.record import COLUMNS, Column, Record, columns, value
from reports.comparison import Comparison, compare, remark
from reports.notes import BUSY_NOTE, column_notes, notes
from reports.prompted import prompted_sections
from reports.published import DAVIS, load_quantities, published_columns, published_section, two_readings
from reports.rows import aggregate, busy, by_sequence, distinct, group_rows, main_score
from reports.table import Table, csv_text
from reports.texts import MISSING, difference, interval, marked, number, shortened, spread


def summarize(records: list[Record]) -> pd.DataFrame:
    """The table as text, one row per label in order of first appearance; "—" is what there is not.

    Scores have the digits of their column, "mean ± sample standard deviation" from two seeds on; a label without
    a successful seed shows its status instead ("failed: <why>"). Seeds is "<succeeded>/<run>" when some did
    not succeed. "Δ J&F" and the two-way "95 % interval" are of the row minus its reference (see `compare`). Columns
    with "full size" are of the published network at 480x864 with one object; those with "Published" are joined by
    method and label, or by the method alone (see `published_columns`).
    """
    return _texts(records, _numbers(records, compare(records)))


def write_tables(records: list[Record], folder: Path, title: str) -> list[Path]:
    """Write table.md, table.tex, table.csv and, where there are sequences, sequences.csv; return their paths."""
    return write_table(tabulate(records, title), records, folder)


def write_table(table: Table, records: list[Record], folder: Path) -> list[Path]:
    """As `write_tables`, of the table of these records."""
    paths, sequences = table.write(folder), by_sequence(records)
    if sequences.empty:
        return paths
    text = csv_text(sequences.round(2).reset_index())
    (Path(folder) / "sequences.csv").write_text(text, encoding="utf-8")
    return [*paths, Path(folder) / "sequences.csv"]


def tabulate(records: list[Record], title: str) -> Table:
    """The table of `summarize` without columns that say nothing, and what to know when reading it."""
    compared, main, shown = compare(records), main_score(records), columns(records)
    numbers = _numbers(records, compared)
    table, alike = _narrowed(_texts(records, numbers), main, shown)
    sentences = notes(records, compared)
    if alike:
        sentences.insert(1, f"The same in every row that has it: {'; '.join(alike)}.")
    pairs = [(record.method, record.label) for record in records]
    appendix = prompted_sections(records) if main.name == "miou" else published_section(pairs)
    better = {column.heading(): column.better for column in shown if column.title}
    return Table(title, table, sentences, numbers, appendix, better)


def tabulate_costs(records: list[Record], title: str) -> Table:
    """Costs alone, a row per record of job=measure."""
    shown, cells = [column for column in COLUMNS if column.measured], [[record] for record in records]
    texts = pd.DataFrame(
        {"Method": [record.label for record in records]}
        | {
            c.heading(c.measured): _marked([number(value(r, c.name), c.digits) for r in records], c, cells)
            for c in shown
        }
    )
    sentences = [
        f"Frames of {distinct(records, 'resolution')}, {distinct(records, 'objects')} object(s), on "
        f"{distinct(records, 'device')}, {distinct(records, 'precision')}; random weights.",
        "Latency (median) and FPS follow the protocol frame: from a frame on the host to its mask there. "
        "docs/measuring.md tells of the other protocols, which measure.md beside the figures holds.",
        *column_notes(records, shown),
        *([BUSY_NOTE] if busy(records) else []),
        *(f"{record.label}: {record.status}." for record in records if record.status != "ok"),
    ]
    return Table(title, texts, sentences, pd.DataFrame([vars(record) for record in records]))


def _narrowed(table: pd.DataFrame, main: Column, shown: Iterable[Column]) -> tuple[pd.DataFrame, list[str]]:
    """The table without the columns that tell no rows apart, and what these say; the csv keeps them all."""
    dropped, alike = [], []
    foldable = {column.heading() for column in shown if column.group in ("cost", "stages", "setting")}
    for name in table:
        found = [text for text in table[name] if text != MISSING]
        if not found and name != main.heading():
            dropped.append(name)
        elif name in foldable and len(found) > 1 and len(set(found)) == 1:
            dropped.append(name)
            alike.append(f"{name} {found[0]}")
    return table.drop(columns=dropped), alike


def _numbers(records: list[Record], compared: dict[str, Comparison]) -> pd.DataFrame:
    """Raw numbers per label: `aggregate`, the comparison (its reference row has its own name there), and what
    is published. `<score>_difference_low` and `_high` are of the bootstrap, those of `two_way` have it in their
    name; `verdict` is that of `p_holm`; `seeds_needed` is empty below two seeds."""
    rows = aggregate(records)
    score = main_score(records).name.removesuffix("_mean")
    ends = {"": "mean"} | {f"_{end}": end for end in ("low", "high", "two_way_low", "two_way_high")}
    named = {f"{score}_difference{end}": field for end, field in ends.items()}
    found = [compared.get(name) for name in rows["label"]]
    differences = [row and row.difference for row in found]
    names = {row.reference: row.reference for row in compared.values()}
    names |= {name: row.reference for name, row in compared.items()}
    beside = {
        "reference": [names.get(name, "") for name in rows["label"]],
        **{name: [getattr(each, field, math.nan) for each in differences] for name, field in named.items()},
        "p": [getattr(each, "p", math.nan) for each in differences],
        "p_holm": [getattr(row, "p_holm", math.nan) for row in found],
        "verdict": [row.verdict if row else "" for row in found],
        "seeds_needed": [row.seeds_text if row else "" for row in found],
    }
    pairs = [(cells[0].method, cells[0].label) for cells in group_rows(records).values()]
    return pd.concat([rows, pd.DataFrame(beside, dtype=object), published_columns(pairs)], axis=1)


def _texts(records: list[Record], rows: pd.DataFrame) -> pd.DataFrame:
    main, cells = main_score(records), list(group_rows(records).values())
    shown = sorted((c for c in columns(records) if c.title), key=lambda c: c.group == "setting")  # these last
    table = pd.DataFrame({"Method": rows["label"]})
    for column in shown:
        if column.group == "score":
            pairs = zip(rows[column.name], rows[f"{column.name}_std"], strict=True)
            table[column.heading()] = [spread(*pair, column.digits) for pair in pairs]
    for row in rows[rows["n"] == 0].index:
        table.loc[row, main.heading()] = shortened(cells[row][0].status)
    table["Seeds"] = [f"{n}" if n == run else f"{n}/{run}" for n, run in zip(rows["n"], rows["cells"], strict=True)]
    score = main.name.removesuffix("_mean")
    differences = zip(rows[f"{score}_difference"], rows["verdict"], strict=True)
    table[f"Δ {main.title}"] = [difference(mean, remark(verdict)) for mean, verdict in differences]
    table.loc[rows["reference"] == rows["label"], f"Δ {main.title}"] = "reference"
    ends = zip(rows[f"{score}_difference_two_way_low"], rows[f"{score}_difference_two_way_high"], strict=True)
    table["95 % interval"] = [interval(*pair) for pair in ends]
    for column in shown:
        if column.group in ("cost", "training" if main.name == "miou" else "cost"):
            texts = [number(cost / column.per, column.digits) for cost in rows[column.name]]
            table[column.heading()] = _marked(texts, column, cells)
        elif column.group in ("stages", "setting"):
            table[column.heading()] = _marked([text or MISSING for text in rows[column.name]], column, cells)
    return pd.concat([table, _published(rows)], axis=1)


def _marked(texts: list[str], column: Column, rows: list[list[Record]]) -> list[str]:
    """With the mark of what others may have disturbed in any cell of a row."""
    return [marked(text, column.name in busy(cells)) for text, cells in zip(texts, rows, strict=True)]


def _published(rows: pd.DataFrame) -> pd.DataFrame:
    """What is published of the rows, as text."""
    found = {}
    for short in DAVIS:
        readings = rows[[f"published_{field}_{short}" for field in ("jf", "jf_other", "certainty")]]
        heading = f"Published J&F {short.upper()} (full-size network, 480p, not measured)"
        found[heading] = [two_readings(*row) for row in readings.itertuples(index=False)]
    cells = load_quantities()
    cells = cells[cells["field"] == "miou"].groupby(["method", "label"])["value"].agg(list).to_dict()
    pairs = zip(rows["method"], rows["label"], strict=True)
    prompted = [" / ".join(f"{100 * float(x):g}" for x in cells.get(pair, ())) or MISSING for pair in pairs]
    return pd.DataFrame(found | {"Published mIoU (full size)": prompted})
