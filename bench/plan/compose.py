"""From `key=value` arguments to one checked configuration. Imports neither torch nor mlflow: errors are quick."""

from dataclasses import fields
from difflib import get_close_matches
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, TypeVar, cast

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

import methods
from bench.losses.base import table
from bench.plan.keys import Scale, missing, settings
from bench.plan.overrides import FREE, group_of, in_hydra_terms, read, without_addresses
from bench.plan.recipe import Recipe, Settings, recipe_keys
from bench.system.choices import check
from bench.system.databases import hide
from bench.system.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
GROUPS = {path.parent.name for path in CONFIGS.glob("*/*.yaml")}
OmegaConf.register_new_resolver("half", lambda number: max(1, number // 2), replace=True)
OF_ROWS = ("ablate", "give")  # jobs that run an ablation
MOST_ROWS = 1000  # of an ablation
MISTAKES = (HydraException, OmegaConfBaseException, ConfigCompositionException)
T = TypeVar("T")


def choices(group: str) -> list[str]:
    """Names that a configuration group offers."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def load_config(arguments: list[str]) -> DictConfig:
    """Compose the configuration of a command line. Raises ConfigError with one message for a mistake.

    `overrides=/path/to/file.yaml` stands for the lines of that file, {dotted key: value}.
    """
    try:
        return _composed(read(arguments))
    except ConfigError as error:
        raise ConfigError(hide(str(error), *(text for text in arguments if "://" in text))) from None


def _composed(overrides: list[str]) -> DictConfig:
    _check_choices(overrides)
    store = ConfigStore.instance()
    store.store(name="schema", group="recipe", node=recipe_keys())
    store.store(name="schema", group="scale", node=Scale)
    try:
        with initialize_config_module("bench.configs", version_base="1.3"):
            config = compose("config", list(map(in_hydra_terms, overrides)), return_hydra_config=True)
            with open_dict(config):
                if config.job == "compare":  # which composes them anew for methods of another family
                    config.arguments = without_addresses(overrides)
                config.ablation.name = config.hydra.runtime.choices.ablation
                if config.job == "search":
                    config.search.name = config.hydra.runtime.choices.search
                del config["hydra"]
    except (*MISTAKES, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:  # all Hydra's
        raise ConfigError(_explain(error, overrides)) from None
    if str(config.job) not in choices("job"):  # its module is imported by this name
        raise ConfigError(f"unknown job '{config.job}'; known: {', '.join(choices('job'))}")
    known, values = settings(config.job), flat(plain(config))
    check(known, values)
    if lost := missing(values, config.job):
        raise ConfigError(f"~{lost[0]}: job={config.job} cannot do without this key")
    if config.job in OF_ROWS:
        for varied in rows(config.ablation).values():
            check(known, flat(varied))
    listed = [name for name, _ in method_entries(config)]
    for name in (config.method, config.teacher.method or config.scale.teacher_method, *listed):
        if name is not None:  # job=measure: all methods
            methods.check_name(name)
    return config


def rows(ablation: DictConfig) -> dict[str, dict[str, Any]]:
    """{label: {dotted key: value}}: the named `cells`, after the product of the values of each `sweep`.

    `sweep` is {dotted key: list of values}, or a list of such; a row's label is made of the values.
    """
    found: dict[str, dict[str, Any]] = {}
    given = plain(ablation, resolve=True)
    sweeps = given.get("sweep") or []
    for sweep in [sweeps] if isinstance(sweeps, dict) else sweeps:
        tried = {str(key): each if isinstance(each, list) else [each] for key, each in sweep.items()}
        if prod(map(len, tried.values())) > MOST_ROWS:
            raise ConfigError(f"ablation.sweep: give lists of at most {MOST_ROWS} rows in all")
        for values in product(*tried.values()):
            shown = ("none" if value is None else value for value in values)
            label = ", ".join(f"{_in_label(key)}={v}" for key, v in zip(tried, shown, strict=True))
            found[label] = dict(zip(tried, values, strict=True))
    found |= {str(label): varied or {} for label, varied in (given.get("cells") or {}).items()}
    if not found:
        raise ConfigError("the ablation has no rows: give it `cells`, or a `sweep` of a key over values")
    return found


def _in_label(key: str) -> str:
    """Its last part, and of what matters at inference alone all."""
    return key if key.startswith("inference.") else key.rpartition(".")[2]


def plain(node: DictConfig, resolve: bool = False) -> dict[str, Any]:
    """A config node as dictionaries and lists."""
    return cast(dict[str, Any], OmegaConf.to_container(node, resolve=resolve))


def method_entries(config: DictConfig) -> list[tuple[str, str | None]]:
    """(name, weights or None) of each entry of `methods=[name,name@/path/to/weights]`; none without that key."""
    listed = config.get("methods") or []
    texts = [listed] if isinstance(listed, str) else [str(text) for text in listed]
    return [(name, weights or None) for name, _, weights in (text.partition("@") for text in texts)]


def to_dataclass(node: DictConfig, kind: type[T], changes: DictConfig | None = None) -> T:
    """A config node, with changes, as the dataclass `kind`; ConfigError for an unknown key or a wrong type."""
    try:
        return cast(T, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), node, changes or {})))
    except OmegaConfBaseException as error:
        raise ConfigError(_first_line(error)) from None


def to_recipe(node: DictConfig) -> Recipe:
    """The recipe of a config node, with those of its losses that have weight; ConfigError as `to_dataclass`."""
    keys = to_dataclass(node, recipe_keys())
    losses = [getattr(keys, name) for name in table()]
    return Recipe.of(*losses, **{each.name: getattr(keys, each.name) for each in fields(Settings)})


def with_override(config: DictConfig, key: str, value: Any) -> DictConfig:
    """A copy of the configuration with one dotted key replaced; raises ConfigError when there is none."""
    config = config.copy()
    try:
        OmegaConf.update(config, key, value, merge=True, force_add=bool(FREE.match(key)))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}={value}: {_first_line(error)}") from None
    check(settings(config.job), flat({key: value}))
    return config


def _check_choices(overrides: list[str]) -> None:
    """Name the known choices of a group (job, ablation, dataset, ...) when one is misspelt."""
    job = {key: value.strip("'") for key, _, value in (text.partition("=") for text in overrides)}.get("job")
    for text in overrides:
        key, separator, value = text.partition("=")
        if key.startswith("~"):  # Hydra: without this key
            continue
        if not separator:
            raise ConfigError(f"'{text}' is not of the form key=value; see ./run_all.sh --help")
        group, value = group_of(key), value.strip("'")
        if group == "search" and job != "search":
            raise ConfigError(f"'{text}' belongs to job=search: give that too")
        if group in GROUPS and value not in choices(group):
            raise ConfigError(f"unknown {key} '{value}'; known: {', '.join(choices(group))}")


def _explain(error: Exception, overrides: list[str]) -> str:
    """Hydra's message in one line; for a key that does not exist, the nearest that does."""
    chosen = [in_hydra_terms(text) for text in overrides if group_of(text.partition("=")[0]) in GROUPS]
    try:
        with initialize_config_module("bench.configs", version_base="1.3"):
            known = list(flat(plain(compose("config", chosen))))
    except MISTAKES:
        return _first_line(error)  # it is the choices themselves that do not compose
    for text in overrides:
        key = text.partition("=")[0]
        if not key.startswith(("+", "~")) and not FREE.match(text) and key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.6)
            return f"there is no key '{key}'" + (f"; did you mean '{near[0]}'?" if near else "")
    return _first_line(error)


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{dotted key: value} of nested dictionaries, of which each is a value too."""
    found = {}
    for key, value in node.items():
        found[f"{prefix}{key}"] = value
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
    return found


def _first_line(error: BaseException) -> str:
    """The first line of the error and, where Hydra wraps another, of that one."""
    line = str(error).strip().split("\n")[0]
    return f"{line}: {_first_line(error.__cause__)}" if error.__cause__ else line
