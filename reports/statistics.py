"""Is one row of a table really better than another? Paired differences with a bootstrap interval."""

import json
from dataclasses import dataclass

import numpy as np

from bench.record import Record

RESAMPLES = 10_000


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b in J&F (percent) over (sequence, seed) pairs, with a 95 % interval [low, high]."""

    mean: float
    low: float
    high: float
    pairs: int
    seeds: int

    @property
    def within_noise(self) -> bool:
        """True when the interval contains 0."""
        return self.low <= 0 <= self.high


def paired_difference(records_a: list[Record], records_b: list[Record]) -> PairedDifference:
    """Compare the records of two labels on one dataset, sequence by sequence and seed by seed.

    Only seeds that succeeded in both, and sequences that all of these have, are compared. The interval is
    a percentile bootstrap: each resample draws sequences with replacement and, independently, seeds with
    replacement, and averages the differences of the drawn pairs (every sequence is met by every seed, so
    the pairs are not independent of each other; see Owen, The pigeonhole bootstrap, 2007). With few seeds
    it is narrower than it should be, and with one it holds the sequences' variation alone. The resamples
    are the same on every call. Raises ValueError when the two have no pair in common.
    """
    a, b = _scores(records_a), _scores(records_b)
    seeds = sorted(a.keys() & b.keys())
    sequences = sorted(
        set.intersection(*(a[seed].keys() & b[seed].keys() for seed in seeds)) if seeds else ()
    )
    if not sequences:
        raise ValueError("nothing to compare: no sequence and seed has a per-sequence score in both")
    differences = np.array([[a[seed][name] - b[seed][name] for seed in seeds] for name in sequences])

    rng = np.random.default_rng(0)
    means = np.einsum(
        "rq,qs,rs->r", _draws(rng, len(sequences)), differences, _draws(rng, len(seeds)), optimize=True
    )
    low, high = np.percentile(means, [2.5, 97.5])
    return PairedDifference(
        float(differences.mean()), float(low), float(high), pairs=differences.size, seeds=len(seeds)
    )


def _scores(records: list[Record]) -> dict[int, dict[str, float]]:
    """{seed: {sequence: J&F in percent}} of the cells that succeeded."""
    return {r.seed: json.loads(r.per_sequence) for r in records if r.status == "ok" and r.per_sequence}


def _draws(rng: np.random.Generator, count: int) -> np.ndarray:
    """float64 (RESAMPLES, count): the share of each of `count` items among as many draws with replacement."""
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) / count
