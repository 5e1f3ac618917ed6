"""Constructor options of methods, which users give as text: their types by the constructors' annotations."""

import math
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from methods.errors import MethodError

NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
# Of what there is at least some, so that 0 is a slip. Other numbers are at least 0.
COUNTED = re.compile(r"(width|depth|size|edge|channels|length|every|factor|groups|layers|top_k)$")


def check_options(factory: Callable, options: Mapping[str, Any]) -> None:
    """Raise MethodError, which names the option, for a value of another type, a negative or endless number.

    Where the constructors of the method's classes do not know an option, nothing is said of the others.
    """
    hints: dict[str, Any] = {}
    for place in reversed(getattr(factory, "__mro__", [factory])):
        hints |= get_type_hints(vars(place).get("__init__", object) if isinstance(place, type) else place)
    if not options.keys() <= hints.keys():  # of which the constructor tells itself
        return
    for key, value in options.items():
        kinds = _kinds(hints[key])
        if not set(kinds) <= set(NAMES):
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = type(value) in kinds or (float in kinds and type(value) is int)
        least = " above 0" if COUNTED.search(key) else " of 0 or more"
        if not fits or (is_number and not (math.isfinite(value) and value >= 0 and (value or least != " above 0"))):
            wanted = (NAMES[kind] + least * (kind in (int, float)) for kind in kinds)
            raise MethodError(f"options.{key}={value}: give {' or '.join(wanted)}")


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
