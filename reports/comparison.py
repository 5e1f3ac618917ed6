"""Which rows are compared with which: each with the row that its record names; trained ones that name none, with
the first of these."""

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

    A row's reference is the row of its dataset that its records name (`Record.reference`). Those that name none,
    and that no other names, are compared with the first of them, teachers left out, where both have a trained cell
    that succeeded. Rows that share no sequence and seed with their reference are left out too. Holm's correction is
    over the rows of a dataset, whatever they are compared with.
    """
    rows = group_rows(records)
    places = {(cells[0].dataset, cells[0].label): name for name, cells in rows.items()}
    named = {(cells[0].dataset, cells[0].reference) for cells in rows.values()}
    first: dict[str, str] = {}
    references: dict[str, dict[str, str]] = {}  # by dataset
    for name, cells in rows.items():
        dataset, label, reference = cells[0].dataset, cells[0].label, cells[0].reference
        if reference:
            other = places.get((dataset, reference), name)
        elif _trained(cells) and (dataset, label) not in named:
            other = first.setdefault(dataset, name)
        else:
            continue
        if other != name:
            references.setdefault(dataset, {})[name] = other
    found = {name: each for others in references.values() for name, each in _compared(rows, others).items()}
    return {name: found[name] for name in rows if name in found}


def by_reference(compared: dict[str, Comparison]) -> dict[str, list[str]]:
    """Names of the rows that are compared with each reference."""
    found: dict[str, list[str]] = {}
    for name, row in compared.items():
        found.setdefault(row.reference, []).append(name)
    return found


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
