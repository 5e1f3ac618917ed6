"""Figures as the written tables show them."""

import math

MISSING = "—"  # what was not measured
LONGEST_STATUS = 60  # characters in a cell of a table; the note below it has the rest


def spread(mean: float, deviation: float) -> str:
    """A mean in percent with one decimal, and the standard deviation where there is one."""
    if math.isnan(mean):
        return MISSING
    return f"{mean:.1f}" if math.isnan(deviation) else f"{mean:.1f} ± {deviation:.1f}"


def difference(mean: float, within_noise: bool) -> str:
    """A row minus its reference."""
    return MISSING if math.isnan(mean) else f"{mean:+.1f}{' (noise)' if within_noise else ''}"


def interval(low: float, high: float) -> str:
    return MISSING if math.isnan(low) else f"[{low:+.1f}, {high:+.1f}]"


def three_digits(value: float) -> str:
    """A positive number with about three significant digits and no exponent."""
    if math.isnan(value):
        return MISSING
    if value == 0:
        return "0"
    return f"{value:.{min(3, max(0, 2 - math.floor(math.log10(value))))}f}"


def shortened(status: str) -> str:
    """A status on one line that fits a cell."""
    status = " ".join(status.split())
    return status if len(status) <= LONGEST_STATUS else status[: LONGEST_STATUS - 1] + "…"
