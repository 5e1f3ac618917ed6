"""The table of losses (bench.losses.base): a module in this folder that registers a loss adds it."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
