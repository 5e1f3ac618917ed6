"""The few columns of a table that fit a terminal."""

import math
from typing import Any

import pandas as pd

from bench.record import Record
from reports.comparison import SIGNIFICANT, remark
from reports.notes import BUSY_NOTE
from reports.rows import busy, distinct, group_rows, main_score, succeeded
from reports.texts import BUSY, MISSING, difference, interval, marked, number, shortened, spread

GAIN = "gain, 95 % interval"
COSTS = {  # of these fields, the first that any record has
    "params (M)": ("params_m_full", "params_m"),
    "GMACs": ("gmacs_full",),
    "ms": ("latency_ms_median_full", "stage_ms_full", "latency_ms_median"),
}


def compact(records: list[Record], numbers: pd.DataFrame) -> pd.DataFrame:
    """A row a label, as `tabulate` has them with these numbers: method, score, gain and verdict, costs."""
    main, rows = main_score(records), []
    held = {title: [field for field in fields if _any(numbers, field)] for title, fields in COSTS.items()}
    costs = {title: fields[0] for title, fields in held.items() if fields}
    for (name, cells), row in zip(group_rows(records).items(), numbers.to_dict("records"), strict=True):
        disturbed = busy(cells)
        texts = {
            "method": name if row["n"] in (0, row["cells"]) else f"{name} ({row['n']} of {row['cells']} seeds)",
            main.title: spread(row[main.name], row[f"{main.name}_std"], main.digits),
            GAIN: _gain({str(key): value for key, value in row.items()}, cells, main.name.removesuffix("_mean")),
        }
        for title, field in costs.items():
            text = row[field] if isinstance(row[field], str) else number(row[field])
            texts[title] = marked(text or MISSING, field in disturbed)
        rows.append(texts)
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in (GAIN,) if set(table[name]) == {MISSING}])


def sentences(records: list[Record], table: pd.DataFrame) -> list[str]:
    """What has to be known to read the compact table."""
    done, main = succeeded(records) or records, main_score(records)
    seeds = len({record.seed for record in done if record.train_steps})
    prompted = main.name == "miou"
    counted = f"{distinct(done, 'sequences') or 'no'} {'images' if prompted else 'sequences'}"
    lines = [f"{main.title} in percent on {distinct(done, 'dataset')} ({counted})"]
    lines[0] += f", ± standard deviation over {seeds} seeds." if seeds > 1 else "."
    if GAIN in table:
        found = " ".join(table[GAIN])
        unclear = " n.s.: not significant at 5 %." if "n.s." in found else ""
        few = " No verdict: it takes three seeds and sequences." if "no verdict" in found else ""
        lines.append(f"The gain over the reference has a two-way interval, over sequences and seeds.{unclear}{few}")
    sized = any(record.params_m_full or record.latency_ms_median_full for record in records)
    if any(name in table for name in COSTS):
        lines.append(
            f"Costs are of the {'full-size network at 480x864 with one object' if sized else 'trained network'}."
        )
    if table.map(lambda text: text.endswith(f" {BUSY}")).to_numpy().any():
        lines.append(BUSY_NOTE)
    return lines


def _any(numbers: pd.DataFrame, field: str) -> bool:
    return field in numbers and bool((numbers[field].notna() & (numbers[field] != "")).any())


def _gain(row: dict[str, Any], cells: list[Record], score: str) -> str:
    """`+14.2 [+6.8, +24.1] significant`, or why there is none."""
    if row["n"] == 0:
        return shortened(cells[0].status)
    if row["reference"] == row["label"]:
        return "reference"
    if math.isnan(mean := row[f"{score}_difference"]):
        return MISSING
    ends = interval(row[f"{score}_difference_two_way_low"], row[f"{score}_difference_two_way_high"])
    verdict = SIGNIFICANT if row["verdict"] == SIGNIFICANT else remark(row["verdict"])
    return " ".join([difference(mean), *([] if ends == MISSING else [ends]), verdict])
