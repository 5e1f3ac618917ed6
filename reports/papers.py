"""The tables of the papers, and of what stands beside them: which published rows, with which remarks."""

import json
import math
from collections.abc import Sequence
from statistics import fmean

import pandas as pd

from reports.published import load_published, load_quantities
from reports.published.words import NAMES, REMARKS
from reports.results import Result
from reports.rows import succeeded
from reports.side_by_side import GIVEN, NOT_MEASURED, paper_table, published_marks
from reports.table import Table

DISTILLED = "arXiv 2401.13937, Table "
MOBILE_SAM = "MobileSAM (arXiv 2306.14289), Table "
STUDENTS = ("mobilevos_mnv2", "mobilevos_mnv2_no_aspp")  # of whose own training nothing is published


def mobilevos(results: Sequence[Result]) -> Table:
    rows = load_published()
    rows = rows[rows["method"].str.startswith("mobilevos")]
    return paper_table("MobileVOS (CVPR 2023)", rows, results, REMARKS["mobilevos"], STUDENTS)


def deaot_distilled(number: int, results: Sequence[Result]) -> Table:
    """Tables 1 to 4 of arXiv 2401.13937."""
    rows, source = load_published(), f"{DISTILLED}{number}"
    chosen = rows["source"] == source
    if number == 3:  # which repeats a row of Table 1, with its speed
        own = rows["label"] == "deformable attention"
        rows = pd.concat([rows[chosen], rows[own & rows["dataset"].isin(rows["dataset"][chosen])]])
    else:
        rows = rows[chosen].assign(fps=math.nan, fps_device="")
    return paper_table(source, rows, results, REMARKS.get(f"deaot_distilled_{number}", ()))


def baselines() -> Table:
    """Published rows alone."""
    rows = load_published()
    shown_elsewhere = rows["method"].str.startswith("mobilevos") | rows["source"].str.startswith(DISTILLED)
    return paper_table("Published baselines", _in_order(rows[~shown_elsewhere]), None, REMARKS["baselines"])


def own_methods(results: Sequence[Result]) -> Table:
    """The main published row of each method that this suite has, with what it measured."""
    rows = load_published()
    rows = rows[(rows["main"] == "yes") & rows["method"].str.match("stcn|mobilevos_|deaot_|r50_deaot")]
    return paper_table("Methods of this suite", _in_order(rows), results)


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """By method, in the order of NAMES."""
    return rows.sort_values("method", key=lambda column: column.map(list(NAMES).index), kind="stable")


def mobile_sam(number: int, results: Sequence[Result]) -> Table:
    """Table 2, 4 or 7 of MobileSAM: a row per setting, two columns per quantity."""
    cells = load_quantities()
    cells = cells[cells["table"] == str(number)]
    cells = cells.assign(measured=[_measured(results, c.method, c.label, c.field) for c in cells.itertuples()])
    rows = []
    for (method, _), group in cells.groupby(["method", "label"], sort=False):
        first = group.iloc[0]
        row = {"Method": NAMES.get(method, method), "Variant": first["variant"], "Setting": first["setting"]}
        for cell in group.itertuples():
            row[f"{cell.quantity}, published"] = cell.value
            row[f"{cell.quantity}, measured"] = cell.measured
        rows.append(row | {"Source": f"{first['source']} [{first['certainty']}]"})
    texts = pd.DataFrame(rows)
    texts = texts.drop(columns=[name for name in ("Variant", "Setting") if not texts[name].any()])
    sentences = [
        published_marks(cells),
        "mIoU is the mean overlap of a student's masks with its teacher's for the same prompts: of the original "
        "SAM in the paper, of the student's own teacher where it was measured, at the scale behind the figure.",
        *(f"Published: {note}." for note in dict.fromkeys(cells["note"]) if note),
        *REMARKS.get(f"mobile_sam_{number}", ()),
    ]
    return Table(f"{MOBILE_SAM}{number}", texts, sentences, cells)


def _measured(results: Sequence[Result], method: str, label: str, field: str) -> str:
    """The mean over seeds of a row's cells, one text per scale; 1 is all."""
    name, _, key = field.partition(".")
    found: dict[str, list[float]] = {}
    for record in (record for result in results for record in succeeded(result.records)):
        value = getattr(record, name, None) if (record.method, record.label) == (method, label) else None
        value = json.loads(value).get(key) if key and value else value
        if value is not None and value != "":
            found.setdefault(record.scale or GIVEN, []).append(value / 100)
    return "; ".join(f"{fmean(values):.4f}, {scale}" for scale, values in found.items()) or NOT_MEASURED
