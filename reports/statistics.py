"""Is one row of a table really better than another? Paired differences with their intervals, and power."""

import json
import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from scipy import stats

from bench.record import Record
from reports.significance import SIGNIFICANCE, two_way

# Too few for a verdict: at two, Holm's small levels are exceeded.
FEW_SEEDS, FEW_SEQUENCES = {1: "one seed", 2: "two seeds"}, {1: "one sequence", 2: "two sequences"}
MOST_SEEDS = 50  # of which a table still says that they would be needed
ASSURANCE = 0.8  # that the spread over all seeds is below the bound that is taken for it
BATCH = 500_000  # numbers drawn at a time; the resamples of many sequences would not fit memory at once


@dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b in J&F (percent) over (sequence, seed) pairs, with two 95 % intervals.

    low, high: of the bootstrap; NaN for a single pair.
    two_way_low, two_way_high: of the model in which sequences and seeds are random; NaN with a single sequence, or
    with a single seed of what was trained.
    p: of a mean of 0 in the two-way model; NaN with too few seeds or sequences, and then `lacking` says which.
    """

    mean: float
    low: float
    high: float
    pairs: int
    seeds: int
    two_way_low: float = math.nan
    two_way_high: float = math.nan
    p: float = math.nan
    lacking: str = ""  # "one seed", "two seeds", "one sequence", "two sequences"


def paired_difference(records_a: list[Record], records_b: list[Record]) -> PairedDifference:
    """Compare the records of two rows on one dataset, sequence by sequence and seed by seed.

    Only seeds that succeeded in both, and sequences that all of these have, are compared. Every sequence is met by
    every seed, so the pairs are not independent of each other: sequences and seeds vary, each on its own (see
    `reports.significance.two_way`). Where nothing was trained on either side, sequences alone do. Raises ValueError
    when the two have no pair in common.

    The bootstrap is of percentiles: each resample draws sequences with replacement and, independently, seeds with
    replacement, and averages the differences of the drawn pairs, each weighing as many objects as its sequence has,
    as in J&F (Owen, The pigeonhole bootstrap, 2007). With few seeds its interval is narrower than it should be, and
    with one it holds the sequences' variation alone. The resamples are the same on every call.
    """
    found, weights = paired(records_a, records_b)
    differences = found.to_numpy()
    if not differences.size:
        raise ValueError("nothing to compare: no sequence and seed has a per-sequence score in both")
    mean = float(np.average(differences.mean(axis=1), weights=weights))
    trained = any(record.train_steps for record in (*records_a, *records_b))
    sequences, seeds = differences.shape
    lacking = FEW_SEEDS.get(seeds, "") if trained else ""
    lacking = lacking or FEW_SEQUENCES.get(sequences, "")
    low = high = p = math.nan
    if sequences > 1 and (seeds > 1 or not trained):
        model = two_way(differences, weights)
        low, high = model.interval()
        p = math.nan if lacking else float(model.p)
    return PairedDifference(mean, *_interval(differences, weights), differences.size, seeds, low, high, p, lacking)


def interval(records: list[Record]) -> tuple[float, float]:
    """Ends of the 95 % bootstrap interval of one row's mean J&F (percent) over sequences and seeds.

    The bootstrap is that of `paired_difference`. Both ends are NaN where there is nothing to resample: no
    per-sequence score, or only one.
    """
    values = _scores(records).dropna()
    return _interval(values.to_numpy(), _weights(records, values.index))


def seeds_needed(
    records_a: list[Record], records_b: list[Record], effect: float = 0.5, power: float = 0.8
) -> int | None:
    """Seeds from which on a difference of `effect` J&F (percent) would show with probability `power`.

    Each seed gives one difference, averaged over the sequences. The few at hand say little of the spread of such
    differences: it is taken to be its upper confidence bound of 80 %, one-sided, by the chi-square distribution
    (Browne, On the use of a pilot sample for sample size determination, Statistics in Medicine, 1995). Sequences
    count as fixed: the answer is about these videos, not about others. None with fewer than two seeds in common;
    MOST_SEEDS + 1 stands for all above MOST_SEEDS.
    """
    found, weights = paired(records_a, records_b)
    differences = found.to_numpy()
    if not differences.size or differences.shape[1] < 2:
        return None
    freedom = differences.shape[1] - 1
    spread = np.average(differences, axis=0, weights=weights).std(ddof=1)
    bound = spread * math.sqrt(freedom / stats.chi2.isf(ASSURANCE, freedom))
    return seeds_to_show(effect, bound, power, MOST_SEEDS)


def seeds_to_show(effect: float, spread: float, power: float = 0.8, most: int = 1000) -> int:
    """Seeds of which a two-sided paired t test at 5 % shows `effect` with probability `power`, at most `most` + 1.

    spread: the standard deviation of the seeds' differences. The power is that of the noncentral t distribution
    (Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2).
    """
    if spread < 1e-9:  # the same difference for every seed, up to rounding
        return 2
    ratio = effect / spread
    quantiles = NormalDist().inv_cdf(1 - SIGNIFICANCE / 2) + NormalDist().inv_cdf(power)
    fewest = max(2, math.floor((quantiles / ratio) ** 2))  # were the deviation known: the t test needs more
    return next((seeds for seeds in range(fewest, most + 1) if _power(ratio, seeds) >= power), most + 1)


def _power(ratio: float, seeds: int) -> float:
    """Probability that a two-sided one-sample t test at 5 % shows a mean of `ratio` standard deviations."""
    critical = stats.t.isf(SIGNIFICANCE / 2, seeds - 1)
    # The wrong tail is left out: scipy cannot always compute it, and near a power of 0.8 it is below 0.0003.
    return stats.nct.sf(critical, seeds - 1, ratio * math.sqrt(seeds))


def paired(records_a: list[Record], records_b: list[Record]) -> tuple[pd.DataFrame, np.ndarray]:
    """Differences a - b of what both have, and the weights (sequences,) of its sequences.

    A row per sequence and a column per seed, both increasing. A single cell that nothing was trained for stands for
    every seed of the other row.
    """
    a, b = _scores(records_a), _scores(records_b)
    a, b = _for_all_seeds(records_a, a, b), _for_all_seeds(records_b, b, a)
    seeds = a.columns.intersection(b.columns)
    differences = (a[seeds] - b[seeds]).dropna()
    return differences, _weights(records_a, differences.index)


def _scores(records: list[Record]) -> pd.DataFrame:
    """J&F in percent of the cells that succeeded: a row per sequence and a column per seed, both increasing."""
    found = {r.seed: json.loads(r.per_sequence) for r in records if r.status == "ok" and r.per_sequence}
    return pd.DataFrame(found, dtype=np.float64).sort_index().sort_index(axis=1)


def _for_all_seeds(records: list[Record], scores: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    fixed = len(records) == len(scores.columns) == 1 and not records[0].train_steps
    return pd.DataFrame(dict.fromkeys(others, scores.squeeze(axis=1))) if fixed and len(others.columns) else scores


def _weights(records: list[Record], sequences: pd.Index) -> np.ndarray:
    """How many objects were evaluated in each sequence; records without it give every sequence the same weight."""
    objects = {k: n for r in records for k, n in json.loads(r.objects_per_sequence or "{}").items()}
    return np.array([objects.get(name, 1) for name in sequences], np.float64)


def _interval(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of values (sequences, seeds), both drawn again independently.

    weights: (sequences,), what each counts.
    """
    if values.size < 2:
        return math.nan, math.nan
    weights = np.broadcast_to(weights[:, None], values.shape).squeeze()
    values = values.squeeze()  # a single sequence or seed cannot be drawn again

    def mean(*drawn: np.ndarray, axis: int) -> np.ndarray:  # axis is the last one
        # scipy draws two independent samples: indices of sequences (n, sequences) and of seeds (n, seeds).
        if values.ndim == 2:
            drawn = drawn[0][..., :, None], drawn[1][..., None, :]
        axes = tuple(range(-values.ndim, 0))
        return (weights * values)[drawn].sum(axis=axes) / weights[drawn].sum(axis=axes)

    found = stats.bootstrap(
        [np.arange(count) for count in values.shape],
        mean,
        vectorized=True,
        batch=max(1, BATCH // values.size),
        confidence_level=1 - SIGNIFICANCE,
        method="percentile",
        random_state=np.random.default_rng(0),  # its name in every scipy from 1.13 on
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
