"""What JSON of a certain kind looks like: state files are read by it, and others' are told from ours."""

from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin


def fits(value: Any, shape: Any) -> bool:
    """Whether a value that JSON gave is of this shape.

    shape: a type, a union of some, list[X], tuple[X, Y], dict[str, X], {key: shape} (what a dictionary has at
    least), or a dataclass (a dictionary; what it has of the fields is of their types). int is a float, too.
    """
    origin, inside = get_origin(shape), get_args(shape)
    if isinstance(shape, dict) or is_dataclass(shape):
        found = isinstance(value, dict) and all(
            key in value and fits(value[key], each) for key, each in _inside(shape, value).items()
        )
    elif origin in (Union, UnionType):
        found = any(fits(value, each) for each in inside)
    elif origin is list:
        found = isinstance(value, list) and all(fits(each, inside[0]) for each in value)
    elif origin is tuple:
        found = isinstance(value, list) and len(value) == len(inside) and all(map(fits, value, inside))
    elif origin is dict:
        found = isinstance(value, dict) and all(fits(each, inside[1]) for each in value.values())
    elif shape in (int, float):
        found = isinstance(value, int | shape) and not isinstance(value, bool)
    else:
        found = shape is Any or isinstance(value, shape)
    return found


def _inside(shape: Any, value: dict) -> dict[str, Any]:
    """The shapes of what a dictionary has."""
    if isinstance(shape, dict):
        return shape
    return {each.name: each.type for each in fields(shape) if each.name in value}
