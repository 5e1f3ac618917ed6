"""What settings may be: said where they are defined, as fields of dataclasses, checked when one composes."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from bench.system.errors import ConfigError

NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
    dict: "keys",
}
LONGEST = 80  # characters of a value in a message


@dataclass(frozen=True)
class Range:
    """Numbers from `least` or `above` to `most` or `below`; None: no end."""

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.most is None or number <= self.most)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        ends = (("of at least", self.least), ("above", self.above), ("at most", self.most), ("below", self.below))
        text = " and ".join(f"{word} {end}" for word, end in ends if end is not None)
        return f" {text}" if text else ""


@dataclass(frozen=True)
class Setting:
    """What a key may be.

    words: text is one of these. numbers: where a number lies, and those of a list in `each`, which are `fewest` or
    more. instead: what to say of any other value. paths: it is a path or a list of such, to be taken as they are.
    """

    kind: Any
    words: tuple[str, ...] = ()
    numbers: Range = Range()
    each: Range = Range()
    fewest: int = 0
    instead: str = ""
    paths: bool = False

    @property
    def is_text(self) -> bool:
        """Whether it is any text, or null: a name, a path or an address, to be taken as it is given."""
        return self.paths or (set(_kinds(self.kind)) - {NoneType} == {str} and not self.words)

    def allows(self, value: Any) -> bool:
        return any(self._fits(kind, value, self.numbers) for kind in _kinds(self.kind))

    def _fits(self, kind: Any, value: Any, numbers: Range) -> bool:
        origin, inner = get_origin(kind), get_args(kind)
        if origin in (list, dict):
            if not isinstance(value, origin) or (origin is list and len(value) < self.fewest):
                return False
            items, numbers = (value, self.each) if origin is list else (value.values(), numbers)
            return all(any(self._fits(one, item, numbers) for one in _kinds(inner[-1])) for item in items)
        if origin is Literal:
            return value in inner
        if kind is Any or kind in (int, float):
            is_number = type(value) in (int, float if kind is Any else kind)
            return value in numbers if is_number else kind is Any
        if kind is str and self.words:
            return value in self.words
        return isinstance(value, dict if is_dataclass(kind) else kind)

    def __str__(self) -> str:
        """What to give."""
        return " or ".join(dict.fromkeys(self._wanted(kind, self.numbers) for kind in _kinds(self.kind)))

    def _wanted(self, kind: Any, numbers: Range) -> str:
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Literal:
            return " or ".join(inner)
        if origin is list:
            some = f" of at least {self.fewest}" if self.fewest else ""
            return f"a list [...]{some}, each {' or '.join(self._wanted(k, self.each) for k in _kinds(inner[0]))}"
        if kind is str and self.words:
            return f"one of {', '.join(self.words)}"
        if kind is Any or kind in (int, float):
            shares = kind is float and 1 in (numbers.most, numbers.below)
            return f"{'a share' if shares else NAMES.get(kind, 'a number')}{numbers}"
        return NAMES.get(kind, "keys")


def choice(*known: str, default: Any = MISSING) -> Any:
    """A dataclass's field that is one of these, or a list of such; by default the first."""
    return _field(known[0] if default is MISSING else default, words=known)


def number(
    default: Any = MISSING,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    each: Range | None = None,
    fewest: int = 0,
) -> Any:
    """A dataclass's field whose numbers are in a range.

    each: the range of those in a list, where it is another. fewest: how many these are at least.
    """
    numbers = Range(least, above, most, below)
    return _field(default, numbers=numbers, each=each or numbers, fewest=fewest)


def paths() -> Any:
    """A dataclass's field `str | list[str] | None`: a path, or a list [...] of such."""
    return _field(MISSING, paths=True)


def group(instead: str) -> Any:
    """A dataclass's field that is a dataclass of its own, and what to say of a value that is none."""
    return _field(MISSING, instead=instead)


def _field(default: Any, **metadata: Any) -> Any:
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@cache
def settings_of(kind: Any, prefix: str = "") -> dict[str, Setting]:
    """{dotted key: what it may be} of the dataclass `kind`, and of those in it, at the key `prefix`.

    In a dictionary of dataclasses, `*` stands for any name.
    """
    found: dict[str, Setting] = {}
    hints = get_type_hints(kind)
    inner: Any
    for each in fields(kind):
        key = f"{prefix}.{each.name}" if prefix else each.name
        found[key] = Setting(hints[each.name], **each.metadata)
        for one in _kinds(hints[each.name]):
            inner, below = (get_args(one)[-1], f"{key}.*") if get_origin(one) is dict else (one, key)
            if isinstance(inner, type) and is_dataclass(inner):
                found |= settings_of(inner, below)
    return found


def setting_for(settings: Mapping[str, Setting], key: str) -> Setting | None:
    """That of a dotted key, one part of which may be what a `*` in the settings stands for; None without one."""
    parts = key.split(".")
    names = [key, *(".".join([*parts[:n], "*", *parts[n + 1 :]]) for n in range(1, len(parts)))]
    return next((settings[name] for name in names if name in settings), None)


def check(settings: Mapping[str, Setting], values: Mapping[str, Any]) -> None:
    """Raise ConfigError for the first of the values, by dotted key, that its setting does not allow.

    Numbers are finite, whole ones below 2**63, those without a setting too.
    """
    for key, value in values.items():
        setting = setting_for(settings, key)
        if setting is not None and not setting.allows(value):
            raise ConfigError(_complaint(key, value, setting))
        for one in _leaves(value):
            if (isinstance(one, int) and abs(one) >= 2**63) or (isinstance(one, float) and not isfinite(one)):
                raise ConfigError(f"{key}={shown(one)}: give a finite number{f', {setting}' if setting else ''}")


def shown(value: Any) -> str:
    """A value as a message quotes it: in one line, cut."""
    text = "null" if value is None else str(value)
    line = "".join(one if one.isprintable() else "?" for one in text[:LONGEST])
    return f"{line}..." if len(text) > LONGEST else line


def _complaint(key: str, value: Any, setting: Setting) -> str:
    if setting.instead:
        return f"{key}={shown(value)}: {setting.instead}"
    unknown = [one for one in (value if isinstance(value, list) else [value]) if one not in setting.words]
    if setting.words and unknown:
        return f"unknown {key} '{shown(unknown[0])}'; known: {', '.join(setting.words)}"
    return f"{key}={shown(value)}: give {setting}"


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a type."""
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _leaves(value: Any) -> Iterator[Any]:
    """A value, or those in a list of lists; those of dictionaries have keys of their own."""
    for one in value if isinstance(value, list) else ():
        yield from _leaves(one)
    yield value
