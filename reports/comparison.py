"""Which rows are compared with which: every trained row with the first one that was trained on the same terms,
or every row with the one that its record names."""

from contextlib import suppress
from dataclasses import dataclass

from bench.record import Record
from reports.rows import group_rows, succeeded
from reports.statistics import PairedDifference, paired_difference, seeds_needed

EFFECT = 0.5  # J&F: the difference that papers still argue about
TEACHER = "(teacher)"  # ends the label of a network that was trained to teach, on terms of its own


@dataclass(frozen=True)
class Comparison:
    """A row minus its reference."""

    reference: str  # name of the row
    difference: PairedDifference
    seeds_needed: int | None  # to show a difference of EFFECT with a power of 0.8


def compare(records: list[Record]) -> dict[str, Comparison]:
    """Comparisons by the name of the row, in order of first appearance.

    The reference of a dataset is the row that the records name (`Record.reference`). Where they name none it is
    the first row with a trained cell that succeeded, teachers left out, and only such rows are compared with it.
    Rows that share no sequence and seed with it are left out too.
    """
    rows = {name: cells for name, cells in group_rows(records).items() if cells[0].reference or _trained(cells)}
    references: dict[str, str] = {}
    for name, cells in rows.items():
        if cells[0].reference in ("", cells[0].label):
            references.setdefault(cells[0].dataset, name)
    found = {}
    for name, cells in rows.items():
        reference = references.get(cells[0].dataset, name)
        if reference != name:
            with suppress(ValueError):  # they share nothing
                difference = paired_difference(cells, rows[reference])
                found[name] = Comparison(reference, difference, seeds_needed(cells, rows[reference], EFFECT))
    return found


def _trained(cells: list[Record]) -> bool:
    return any(cell.train_steps for cell in succeeded(cells)) and not cells[0].label.endswith(TEACHER)
