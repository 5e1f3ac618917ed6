"""From `key=value` arguments to one checked configuration. Imports neither torch nor mlflow: errors are quick."""

import re
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

import methods
from bench.losses.base import table
from bench.plan.recipe import Recipe, Schedule, Settings, recipe_keys
from bench.system.choices import choices_of
from bench.system.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
GROUPS = {path.parent.name for path in CONFIGS.glob("*/*.yaml")}
FINGERPRINTS = ("content", "names")  # what stands for the files of data
STAGES = ("stage0", "stage1")  # of training, before the last
# Keys whose value is the name of a file of a group
PLACED = {**dict.fromkeys(STAGES, "training"), "stage_recipe": "recipe", "teacher.recipe": "recipe"}
OmegaConf.register_new_resolver("half", lambda number: max(1, number // 2), replace=True)
# Keys of a method, of sbatch or of a dataclass that the file leaves at its defaults
FREE = re.compile(r"(teacher\.)?options\.|scale\.stage\d\.\w+\.|launcher\.sbatch\.|(training|stage\d)\.synthesis\b")
MISTAKES = (HydraException, OmegaConfBaseException, ConfigCompositionException)
T = TypeVar("T")


@dataclass
class Stage:
    """How the schedules of an earlier stage differ from those of the last."""

    teacher: dict[str, Any] = field(default_factory=dict)
    student: dict[str, Any] = field(default_factory=dict)


@dataclass
class Scale:
    """How big: the same code at other widths, resolutions and numbers of steps."""

    name: str = "laptop"
    options: dict[str, Any] = field(default_factory=dict)  # constructor options by method
    teacher_method: str = "stcn"
    teacher_options: dict[str, Any] = field(default_factory=dict)  # over those of `options`
    teacher: Schedule = field(default_factory=Schedule)
    student: Schedule = field(default_factory=Schedule)
    stage0: Stage = field(default_factory=Stage)
    stage1: Stage = field(default_factory=Stage)


def choices(group: str) -> list[str]:
    """Names that a configuration group offers."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def load_config(overrides: list[str]) -> DictConfig:
    """Compose the configuration of a command line. Raises ConfigError with one message for a mistake.

    `overrides=/path/to/file.yaml` stands for the lines of that file, {dotted key: value}.
    """
    overrides = [text for given in overrides for text in _lines_of_file(given)]
    _check_choices(overrides)
    store = ConfigStore.instance()
    store.store(name="schema", group="recipe", node=recipe_keys())
    store.store(name="schema", group="scale", node=Scale)
    try:
        with initialize_config_module("bench.configs", version_base="1.3"):
            terms = [_in_hydra_terms(text) for text in overrides]
            config = compose("config", terms, return_hydra_config=True)
            with open_dict(config):
                if config.job == "compare":  # which composes them anew for methods of another family
                    config.arguments = [text for text in overrides if not text.startswith("tracking_uri=")]
                config.ablation.name = config.hydra.runtime.choices.ablation
                if "search" in config:
                    config.search.name = config.hydra.runtime.choices.search
                del config["hydra"]
    except MISTAKES as error:
        raise ConfigError(_explain(error, overrides)) from None
    if str(config.job) not in choices("job"):  # its module is imported by this name
        raise ConfigError(f"unknown job '{config.job}'; known: {', '.join(choices('job'))}")
    listed = [name for name, _ in method_entries(config)]
    for name in (config.method, config.teacher.method or config.scale.teacher_method, *listed):
        if name is not None:  # job=measure: all methods
            methods.check_name(name)
    _check_words({key: OmegaConf.select(config, key) for key in _words()})
    if config.job == "ablate":
        for varied in rows(config.ablation).values():
            _check_words(_flat(varied))
    return config


def rows(ablation: DictConfig) -> dict[str, dict[str, Any]]:
    """{label: {dotted key: value}}: the named `cells`, after the product of the values of each `sweep`.

    `sweep` is {dotted key: list of values}, or a list of such; a row's label is made of the values.
    """
    found: dict[str, dict[str, Any]] = {}
    given = plain(ablation, resolve=True)
    sweeps = given.get("sweep") or []
    for sweep in [sweeps] if isinstance(sweeps, dict) else sweeps:
        for values in product(*(each if isinstance(each, list) else [each] for each in sweep.values())):
            shown = ("none" if value is None else value for value in values)
            label = ", ".join(f"{key.rpartition('.')[2]}={v}" for key, v in zip(sweep, shown, strict=True))
            found[label] = dict(zip(sweep, values, strict=True))
    found |= {str(label): varied or {} for label, varied in (given.get("cells") or {}).items()}
    if not found:
        raise ConfigError("the ablation has no rows: give it `cells`, or a `sweep` of a key over values")
    return found


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
    _check_words(_flat({key: value}))
    try:
        OmegaConf.update(config, key, value, merge=True, force_add=bool(FREE.match(key)))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}={value}: {_first_line(error)}") from None
    return config


def _lines_of_file(text: str) -> list[str]:
    """`overrides=file` as the `key=value` texts of the file; any other text as it is."""
    key, _, name = text.partition("=")
    if key != "overrides":
        return [text]
    try:
        found = yaml.safe_load(Path(name).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"overrides={name} cannot be read: {_first_line(error)}") from None
    if not isinstance(found, dict) or any(isinstance(value, dict) for value in found.values()):
        raise ConfigError(f"overrides={name}: give lines of the form `dotted.key: value`")
    return [f"{key}={_in_hydra_grammar(value)}" for key, value in found.items()]


def _in_hydra_grammar(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_in_hydra_grammar, value))}]"
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    return "null" if value is None else str(value).lower()


def _in_hydra_terms(text: str) -> str:
    """`options.x=1` for `++options.x=1`, as its keys are free; `stage0=static` for `training@stage0=static`."""
    if FREE.match(text):
        return f"++{text}"
    key = text.partition("=")[0]
    return f"{PLACED[key]}@{text}" if key in PLACED else text


def _check_choices(overrides: list[str]) -> None:
    """Name the known choices of a group (job, ablation, dataset, ...) when one is misspelt."""
    for text in overrides:
        key, separator, value = text.partition("=")
        if key.startswith("~"):  # Hydra: without this key
            continue
        if not separator:
            raise ConfigError(f"'{text}' is not of the form key=value; see ./run_all.sh --help")
        group, value = PLACED.get(key, key), value.strip("'")
        if group == "search" and "job=search" not in overrides:
            raise ConfigError(f"'{text}' belongs to job=search: give that too")
        if group in GROUPS and value not in choices(group):
            raise ConfigError(f"unknown {key} '{value}'; known: {', '.join(choices(group))}")


def _explain(error: Exception, overrides: list[str]) -> str:
    """Hydra's message in one line; for a key that does not exist, the nearest that does."""
    chosen = [_in_hydra_terms(text) for text in overrides if text.partition("=")[0] in {*GROUPS, *PLACED}]
    try:
        with initialize_config_module("bench.configs", version_base="1.3"):
            known = list(_flat(plain(compose("config", chosen))))
    except MISTAKES:
        return _first_line(error)  # it is the choices themselves that do not compose
    for text in overrides:
        key = text.partition("=")[0]
        if not key.startswith(("+", "~")) and key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.6)
            return f"'{text}': there is no key '{key}'" + (f"; did you mean '{near[0]}'?" if near else "")
    return _first_line(error)


def _flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{dotted key: value} of nested dictionaries, of which each is a value too."""
    found = {}
    for key, value in node.items():
        found[prefix + key] = value
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
    return found


def _words() -> dict[str, tuple[str, ...]]:
    """{key: what it may be} of all settings that are one of a few words."""
    known: dict[str, tuple[str, ...]] = {"fingerprint": FINGERPRINTS}
    for place in ("recipe", "teacher.recipe", "stage_recipe"):
        known |= choices_of(recipe_keys(), place)
    for place in ("scale", *(f"scale.{stage}" for stage in STAGES)):
        known |= choices_of(Schedule, f"{place}.teacher") | choices_of(Schedule, f"{place}.student")
    return known


def _check_words(values: dict[str, Any]) -> None:
    """Raise ConfigError for a value at a key of `_words` that it may not have; None stands for no value."""
    for key, known in _words().items():
        if values.get(key) is not None and values[key] not in known:
            raise ConfigError(f"unknown {key} '{values[key]}'; known: {', '.join(known)}")


def _first_line(error: BaseException) -> str:
    """The first line of the error and, where Hydra wraps another, of that one."""
    line = str(error).strip().split("\n")[0]
    return f"{line}: {_first_line(error.__cause__)}" if error.__cause__ else line
