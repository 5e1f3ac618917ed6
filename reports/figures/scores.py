"""The accuracy of every row as the plots show it."""

import json
import math
from dataclasses import dataclass
from statistics import fmean

from bench.record import Record
from reports.rows import group_rows, succeeded
from reports.statistics import interval


@dataclass(frozen=True)
class Score:
    """J&F of one row in percent: of every seed, their mean, and its 95 % interval (NaN when there is none)."""

    name: str
    method: str
    dataset: str
    seeds: tuple[float, ...]
    low: float
    high: float
    varied: dict  # {config key: value} that sets the row apart; empty for a baseline

    @property
    def mean(self) -> float:
        return fmean(self.seeds)


def scores(records: list[Record]) -> list[Score]:
    """One for each row with a successful, scored cell, in order of first appearance."""
    found = (_score(name, succeeded(cells)) for name, cells in group_rows(records).items())
    return [score for score in found if score]


def _score(name: str, cells: list[Record]) -> Score | None:
    seeds = tuple(c.jf_mean for c in cells if c.jf_mean is not None and not math.isnan(c.jf_mean))
    if not seeds:
        return None
    first = cells[0]
    return Score(name, first.method, first.dataset, seeds, *interval(cells), json.loads(first.varied or "{}"))
