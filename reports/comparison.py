"""Which rows are compared with which: every trained row with the first one that was trained on the same terms,
or every row with the one that its record names."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from bench.record import Record
from reports.rows import aggregate, group_rows, main_score, succeeded
from reports.significance import SIGNIFICANCE, holm
from reports.statistics import MOST_SEEDS, PairedDifference, paired_difference, seeds_needed

EFFECT = 0.5  # J&F: the difference that papers still argue about
TEACHER = "(teacher)"  # ends the label of a network that was trained to teach, on terms of its own


SIGNIFICANT, NOT_SIGNIFICANT, NO_VERDICT = "significant", "not significant", "no verdict"


@dataclass(frozen=True)
class Comparison:
    """A row minus its reference."""

    reference: str  # name of the row
    difference: PairedDifference
    seeds_needed: int | None  # to show a difference of EFFECT with a power of 0.8; see `statistics.seeds_needed`
    p_holm: float  # Holm's p value among the comparisons that were made with this one; NaN: no verdict

    @property
    def verdict(self) -> str:
        """Significant or not at 5 %, or why there is no verdict."""
        if not math.isnan(self.p_holm):
            return SIGNIFICANT if self.p_holm < SIGNIFICANCE else NOT_SIGNIFICANT
        return f"{self.difference.lacking}: {NO_VERDICT}"

    @property
    def seeds_text(self) -> str:
        """The seeds needed, for people; empty: not known."""
        capped = f"more than {MOST_SEEDS}" if self.seeds_needed and self.seeds_needed > MOST_SEEDS else ""
        return capped or str(self.seeds_needed or "")


def remark(verdict: str) -> str:
    """A verdict as it stands beside a difference; nothing beside a significant one."""
    return {SIGNIFICANT: "", NOT_SIGNIFICANT: "n.s."}.get(verdict, NO_VERDICT)


def compare(records: list[Record]) -> dict[str, Comparison]:
    """Comparisons by the name of the row, in order of first appearance.

    The reference of a dataset is the row that the records name (`Record.reference`). Where they name none it is
    the first row with a trained cell that succeeded, teachers left out, and only such rows are compared with it.
    Rows that share no sequence and seed with it are left out too. Holm's correction is over a reference's rows.
    """
    rows = {name: cells for name, cells in group_rows(records).items() if cells[0].reference or _trained(cells)}
    references: dict[str, str] = {}
    for name, cells in rows.items():
        if cells[0].reference in ("", cells[0].label):
            references.setdefault(cells[0].dataset, name)
    found: dict[str, Comparison] = {}
    for dataset, reference in references.items():
        others = [name for name, cells in rows.items() if cells[0].dataset == dataset and name != reference]
        found |= _compared(rows, dict.fromkeys(others, reference))
    return {name: found[name] for name in rows if name in found}


def compare_soups(records: list[Record]) -> dict[str, Comparison]:
    """Comparisons of soups with the best row of those that they average, by the name of the soup.

    The best is the best in this table, which understates what a soup gains. Holm's correction is over the soups.
    """
    rows = group_rows(records)
    references: dict[str, str] = {}
    scores = aggregate(records).set_index("label")[main_score(records).name].dropna()
    for name, cells in rows.items():
        labels = json.loads(cells[0].ingredients or "[]")
        own = [o for o, c in rows.items() if c[0].label in labels and c[0].dataset == cells[0].dataset]
        if len(evaluated := scores[scores.index.isin(own)]):
            references[name] = str(evaluated.idxmax())
    return _compared(rows, references)


def _compared(rows: dict[str, list[Record]], references: dict[str, str]) -> dict[str, Comparison]:
    """Comparisons of the named rows with their references; Holm's correction is over these."""
    differences = {}
    for name, reference in references.items():
        with suppress(ValueError):  # they share nothing
            differences[name] = paired_difference(rows[name], rows[reference])
    tested = [name for name, difference in differences.items() if not math.isnan(difference.p)]
    adjusted = dict(zip(tested, holm(np.array([differences[name].p for name in tested])).tolist(), strict=True))
    return {
        name: Comparison(
            references[name],
            difference,
            seeds_needed(rows[name], rows[references[name]], EFFECT),
            adjusted.get(name, math.nan),
        )
        for name, difference in differences.items()
    }


def _trained(cells: list[Record]) -> bool:
    return any(cell.train_steps for cell in succeeded(cells)) and not cells[0].label.endswith(TEACHER)
