"""Video object segmentation methods behind one adapter.

    method = methods.create("mobilevos_r18")
    method.start(frame, mask)         # float (3, H, W) RGB in [0, 1]; integer (H, W) object ids, 0 = background
    probabilities = method.step(frame)   # float (N + 1, H, W), background first, then ids in increasing order

Importing this package is cheap: torch and the model code load when a method is created. The suite's methods stand
in the table of `methods.registry`; users' own are named as `methods.outside` says.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from methods import outside
from methods.errors import MethodError
from methods.options import check_options
from methods.registry import METHODS, Entry, entry, register

if TYPE_CHECKING:
    from methods.interface import Method

__all__ = ["Entry", "Method", "MethodError", "available", "create", "entry", "is_trainable", "register"]


def available() -> list[str]:
    """Names of the suite's own methods, sorted; `create` accepts those of `optional` and of users' own too."""
    return sorted(name for name, found in METHODS.items() if not found.extra)


def optional() -> list[str]:
    """Names of methods that need an extra, sorted."""
    return sorted(name for name, found in METHODS.items() if found.extra)


def check_name(name: str) -> None:
    """Raise MethodError when there is no method of this name, listing those that are, or its extra is missing."""
    extra = entry(name).extra
    if extra and find_spec(extra[1]) is None:
        raise MethodError(f"method '{name}' needs {extra[1]}: pip install -e '.[{extra[0]}]' -c constraints.txt")
    if outside.is_outside(name):
        outside.check(name)


def is_trainable(name: str) -> bool:
    """Whether the suite can train it. Raises MethodError for an unknown name; runs the code of a user's own."""
    check_name(name)
    return outside.is_trainable(name) if outside.is_outside(name) else entry(name).learns != "nothing"


def create(name: str, **options) -> "Method | outside.MaskFolder":
    """Build a method with random weights, ready for inference (eval mode).

    `options` are its constructor's; their defaults are the published ones.
    Raises MethodError for an unknown name or option.
    """
    check_name(name)
    if outside.is_outside(name):
        return outside.create(name, options)
    found = entry(name)
    module, name_there = found.factory.split(":")
    factory = getattr(import_module(module), name_there)
    check_options(factory, options)
    try:
        method = factory(**{**found.preset, **options})
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise MethodError(f"method '{name}': {str(error).split('()')[-1].strip()}") from None
    return method.eval() if hasattr(method, "eval") else method
