"""Settings that are one of a few words: named where they are defined, checked when configurations are composed."""

from dataclasses import field, fields, is_dataclass
from typing import Any


def choice(*known: str, default: str | None = None) -> Any:
    """A dataclass's field that is one of these; by default the first."""
    return field(default=default or known[0], metadata={"known": known})


def choices_of(kind: type, prefix: str) -> dict[str, tuple[str, ...]]:
    """{dotted key: what it may be} of the dataclass `kind`, and of those in it, at the key `prefix`."""
    found: dict[str, tuple[str, ...]] = {}
    for each in fields(kind):
        key = f"{prefix}.{each.name}"
        if isinstance(each.type, type) and is_dataclass(each.type):
            found |= choices_of(each.type, key)
        elif "known" in each.metadata:
            found[key] = each.metadata["known"]
    return found
