"""The rows of an ablation: what each changes in the configuration."""

from itertools import product
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.system.errors import ConfigError


def rows(ablation: DictConfig) -> dict[str, dict[str, Any]]:
    """{label: {dotted key: value}}: the named `cells`, after the product of the values of each `sweep`.

    `sweep` is {dotted key: list of values}, or a list of such; a row's label is made of the values.
    """
    found: dict[str, dict[str, Any]] = {}
    sweeps = OmegaConf.to_container(ablation, resolve=True).get("sweep") or []
    for sweep in [sweeps] if isinstance(sweeps, dict) else sweeps:
        lists = {key: values if isinstance(values, list) else [values] for key, values in sweep.items()}
        for values in product(*lists.values()):
            overrides = dict(zip(lists, values, strict=True))
            label = ", ".join(f"{key.rpartition('.')[2]}={_shown(value)}" for key, value in overrides.items())
            found[label] = overrides
    named = OmegaConf.to_container(ablation.get("cells") or OmegaConf.create({}), resolve=True)
    found |= {str(label): overrides or {} for label, overrides in named.items()}
    if not found:
        raise ConfigError("the ablation has no rows: give it `cells`, or a `sweep` of a key over values")
    return found


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
