"""Does a difference hold for other sequences and other seeds? The two-way interval, and Holm's correction."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

SIGNIFICANCE = 0.05  # two-sided: the intervals are those of 95 %


@dataclass(frozen=True)
class TwoWay:
    """The mean (...) of values over sequences and seeds, its standard error (...), and what it is significant by.

    freedom: degrees of freedom of the fewer of these (mostly the seeds), and of the others.
    share: (...), how much of the error's square is over the fewer, in [0, 1].
    """

    mean: np.ndarray
    error: np.ndarray
    share: np.ndarray
    freedom: tuple[int, int]

    @property
    def p(self) -> np.ndarray:
        """Of a mean of 0, two-sided, (...): below 0.05 where the interval leaves 0 out."""
        ratio = np.where(self.mean == 0, 0.0, np.inf)
        return self._tails(np.divide(abs(self.mean), self.error, out=ratio, where=self.error > 0))

    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of a single mean."""
        widest = stats.t.isf(SIGNIFICANCE / 2, 1)
        half = self.error * optimize.brentq(lambda ratio: self._tails(ratio) - SIGNIFICANCE, 0, widest + 1)
        return float(self.mean - half), float(self.mean + half)

    def _tails(self, ratio: np.ndarray) -> np.ndarray:
        """Student's two tails beyond a ratio of mean to error, with either degrees of freedom, by their shares.

        Cochran and Cox (Experimental Designs, 1957, section 4.14) weigh critical values so, where a variance is a
        sum of two with degrees of freedom of their own. Satterthwaite's one number of degrees of freedom, which
        comes from the same few seeds as the error, finds too much: at three seeds and 30 sequences, one of 8 rows
        without any effect in up to 15 % of the tables, after Holm's correction.
        """
        few, many = (stats.t.sf(ratio, freedom) for freedom in self.freedom)
        return 2 * (self.share * few + (1 - self.share) * many)


def two_way(values: np.ndarray, weights: np.ndarray) -> TwoWay:
    """Estimates of values (..., sequences, seeds), at least two of both; weights (sequences,): what each counts.

    The model is value = mean + sequence + seed + interaction, the latter three random (Searle, Casella and
    McCulloch, Variance Components, 1992, chapter 4). The variance of the mean is estimated by the mean squares:
    that over sequences, plus that over seeds, minus that of the interaction, which both hold; it is at least
    either of the first two. With a single seed, where nothing varies by seed, it is that over sequences.
    """
    weights = weights / weights.sum()
    squares, (sequences, seeds) = (weights**2).sum(), values.shape[-2:]
    of_sequences, of_seeds = values.mean(axis=-1), weights @ values
    mean, over_sequences = of_seeds.mean(axis=-1), squares * of_sequences.var(axis=-1, ddof=1)
    if seeds == 1:
        return TwoWay(mean, np.sqrt(over_sequences), np.ones_like(mean), (sequences - 1, sequences - 1))
    over_seeds = of_seeds.var(axis=-1, ddof=1) / seeds
    rest = values - of_sequences[..., None] - values.mean(axis=-2, keepdims=True)
    rest += of_sequences.mean(axis=-1)[..., None, None]
    both = squares * (rest**2).sum(axis=(-2, -1)) / ((sequences - 1) * (seeds - 1) * seeds)
    variance = np.maximum(np.maximum(over_sequences, over_seeds), over_sequences + over_seeds - both)
    fewer = over_seeds if seeds < sequences else over_sequences
    share = np.divide(fewer, variance, out=np.ones_like(mean), where=variance > 0)
    freedom = min(sequences, seeds) - 1, max(sequences, seeds) - 1
    return TwoWay(mean, np.sqrt(variance), share, freedom)


def holm(p: np.ndarray) -> np.ndarray:
    """P values (tests,), adjusted so that any is below 0.05 in at most 5 % of the tables without any effect.

    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics, 1979.
    """
    order = np.argsort(p)
    adjusted = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted[np.argsort(order)]
