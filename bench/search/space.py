"""The space of a search: configuration keys, each with the distribution that its values are drawn from."""

import math
from dataclasses import dataclass
from typing import Any

from bench.system.errors import ConfigError

FORMS = "{float: [low, high]}, {int: [low, high]} (both take log: true) or {choice: [...]}"
SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Dimension:
    """What a trial sets `key` to: a number from `low` to `high`, both of them possible, or one of `choices`."""

    key: str
    kind: str  # float | int | choice
    low: float = 0
    high: float = 0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values that stand for all: what can be wrong of a key is wrong of one of them."""
        return self.choices or (self.low, self.high)

    def suggest(self, trial) -> Any:
        """The value of an `optuna.Trial`."""
        if self.kind == "choice":
            return trial.suggest_categorical(self.key, self.choices)
        suggest = trial.suggest_int if self.kind == "int" else trial.suggest_float
        return suggest(self.key, self.low, self.high, log=self.log)


def read_space(space: dict[str, Any]) -> list[Dimension]:
    """`space` as in bench/configs/search/*.yaml; raises ConfigError, which names the key, for what is none."""
    if not space:
        raise ConfigError("search.space is empty: give it keys, each with a distribution")
    return [_dimension(str(key), node) for key, node in space.items()]


def grid_size(space: list[Dimension]) -> int:
    """How many combinations of values there are. Raises ConfigError, which names the key, for a float."""
    endless = [dimension.key for dimension in space if dimension.kind == "float"]
    if endless:
        raise ConfigError(
            f"search.sampler=grid tries all values, of which {endless[0]} has no end: give it {{choice: [...]}}"
        )
    return math.prod(len(d.choices) or int(d.high - d.low) + 1 for d in space)


def _dimension(key: str, node: Any) -> Dimension:
    kinds = [kind for kind in ("float", "int", "choice") if isinstance(node, dict) and kind in node]
    if len(kinds) != 1 or set(node) - {*kinds, "log"} or ("choice" in node and "log" in node):
        raise ConfigError(f"search.space: {key}: {node} is no distribution; give {FORMS}")
    (kind,), values, log = kinds, node[kinds[0]], node.get("log", False)
    if kind == "choice":
        if not isinstance(values, list) or not values or not all(isinstance(v, SCALARS) for v in values):
            raise ConfigError(f"search.space: {key}: choice: {values} must be a list of plain values")
        return Dimension(key, kind, choices=tuple(values))
    number = (int,) if kind == "int" else (int, float)
    if (
        not isinstance(values, list)
        or len(values) != 2
        or not all(isinstance(v, number) and not isinstance(v, bool) and math.isfinite(v) for v in values)
        or values[0] > values[1]
    ):
        raise ConfigError(f"search.space: {key}: {kind}: {values} must be [low, high]")
    if not isinstance(log, bool) or (log and values[0] <= 0):
        raise ConfigError(f"search.space: {key}: log: {log} is true or false, and true needs a low above 0")
    return Dimension(key, kind, values[0], values[1], log)
