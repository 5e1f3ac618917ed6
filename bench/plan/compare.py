"""From `methods=[...]` to the cells of job=compare."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

import methods
from bench.plan.ablation import Data, ablation_seeds, student_networks, teachers
from bench.plan.cells import Cell, Network
from bench.plan.compose import choices, load_config, method_entries, with_override
from bench.system.errors import ConfigError
from bench.system.files import full_path
from methods import outside


def check_entries(config: DictConfig) -> None:
    """Raise ConfigError for what no comparison can be made of."""
    entries = method_entries(config)
    if len(entries) < 2:
        raise ConfigError(
            "job=compare needs methods=[...] with at least two, e.g. [my_file.py:MyMethod,mobilevos_r18]"
        )
    if config.options:
        raise ConfigError("job=compare takes no options: a function in a file of your own may set them")
    for number, (name, weights) in enumerate(entries):
        if (name, weights) in entries[:number]:
            raise ConfigError(f"methods: '{name}' is listed twice")
        if not weights and methods.entry(name).needs_weights and methods.entry(name).learns != "clips":
            raise ConfigError(f"methods: '{name}' is not trained here, it needs weights: {name}@/path/to/them")
        if weights and not Path(weights).expanduser().exists():
            raise ConfigError(f"methods: no weights at {weights}")
        if weights and not (methods.entry(name).needs_weights or outside.is_outside(name)):
            raise ConfigError(f"methods: '{name}' has no weights; leave out @{weights}")


def plan_comparison(config: DictConfig, data: Data) -> list[Cell]:
    """The cells of each listed method, in their order; those that are trained by seeds, all others once."""
    entries = method_entries(config)
    cells = []
    for label, (name, weights) in zip(_labels(entries), entries, strict=True):
        if weights is None and methods.is_trainable(name):
            cells += _trained(label, name, config, data)
        else:
            cells.append(Cell(label, Network(name, weights=full_path(weights)), data.dataset, 0))
    labels = list(dict.fromkeys(cell.label for cell in cells))
    # by default the first of the suite's own methods, where there is one
    own = [label for label, (name, _) in zip(labels, entries, strict=True) if not outside.is_outside(name)]
    reference = config.reference or [*own, *labels][0]
    if reference not in labels:
        raise ConfigError(f"reference={reference}: choose one of {', '.join(labels)}")
    return [replace(cell, reference=reference) for cell in cells]


def _trained(label: str, name: str, config: DictConfig, data: Data) -> list[Cell]:
    """A student by the default recipe of its family, distilled, or a teacher: the trainings of the ablations."""
    if methods.entry(name).teacher:
        changed = with_override(config, "teacher.method", name)
        found = teachers(changed, data, ablation_seeds(config))
        return [Cell(label, one, data.dataset, seed) for seed, one in found.items()]
    arguments = cast(list[str], OmegaConf.to_container(config.arguments, resolve=False))
    family = methods.entry(name).family
    given = {text.partition("=")[0] for text in arguments}
    # What the ablations of a family choose beside the defaults, so that these trainings are theirs.
    groups = ("family", "recipe") if family in choices("recipe") else ()
    extra = [f"{group}={family}" for group in groups if group not in given]
    changed = with_override(load_config(arguments + extra) if extra else config, "method", name)
    found = student_networks(changed, data, ablation_seeds(config))
    return [Cell(label, one, data.dataset, seed) for seed, one in found.items()]


def _labels(entries: list[tuple[str, str | None]]) -> list[str]:
    """The shortest names that tell the entries apart: `MyMethod`, else with its file, its weights, all as given."""
    forms: list[Callable[[str, str | None], str]] = [
        lambda name, _: outside.label(name),
        lambda name, _: outside.short_name(name),
        lambda name, weights: f"{outside.short_name(name)} ({Path(weights).name})" if weights else name,
        lambda name, weights: f"{name}@{weights}" if weights else name,
    ]
    named = [[form(*entry) for entry in entries] for form in forms]
    return [next(names[i] for names in named if names.count(names[i]) == 1) for i in range(len(entries))]
