"""Figures as the written tables show them."""

import math

MISSING = "—"  # what was not measured
BUSY = "busy"  # ends a cell: measured while others were at work
LONGEST_STATUS = 60  # characters in a cell of a table; the note below it has the rest


def spread(mean: float, deviation: float, digits: int | None = 1) -> str:
    """A mean, and the standard deviation where there is one."""
    ends = [number(value, digits) for value in (mean, deviation) if not math.isnan(value)]
    return " ± ".join(ends) or MISSING


def difference(mean: float, remark: str = "") -> str:
    """A row minus its reference."""
    return MISSING if math.isnan(mean) else f"{mean:+.1f}{f' ({remark})' if remark else ''}"


def interval(low: float, high: float) -> str:
    return MISSING if math.isnan(low) else f"[{low:+.1f}, {high:+.1f}]"


def number(value: float | None, digits: int | None = None) -> str:
    """With so many digits behind the point; None: with about three significant ones."""
    if value is None or math.isnan(value):
        return MISSING
    return three_digits(value) if digits is None else f"{value:.{digits}f}"


def three_digits(value: float) -> str:
    """A number with about three significant digits and no exponent."""
    if value == 0 or math.isnan(value):
        return MISSING if value else "0"
    return f"{value:.{min(3, max(0, 2 - math.floor(math.log10(abs(value)))))}f}"


def marked(text: str, busy: bool) -> str:
    """A measured cost, which others may have disturbed."""
    return f"{text} {BUSY}" if busy and text != MISSING else text


def shortened(status: str) -> str:
    """A status on one line that fits a cell."""
    status = " ".join(status.split())
    return status if len(status) <= LONGEST_STATUS else status[: LONGEST_STATUS - 1] + "…"


def plain_markdown(text: str) -> str:
    """The text on one line as Markdown shows it: no HTML, no picture and no link."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
    return line.replace("<", "&lt;").replace("](", r"]\(")


def markdown_cell(text: str) -> str:
    """The text as a cell of a table."""
    return plain_markdown(text).replace("|", r"\|")


def file_name(text: str) -> str:
    """The text with `_` for what a file system may not take."""
    return "".join(c if c.isalnum() or c in "_-. " else "_" for c in text)
