"""The `key=value` texts of a command line: files of them, text that Hydra would misread, what none may hold."""

import re
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from bench.plan.keys import JOBS, STAGES, settings
from bench.system.choices import Setting, setting_for, shown
from bench.system.errors import ConfigError, first_line

LARGEST_FILE = 2**20  # bytes of a file of overrides
MOST_EVENTS = 2000  # in it: of keys, values, lists that begin or end
DEEPEST = 4  # lists, or keys
SCALARS = (str, int, float, bool, type(None))
# Keys whose value is the name of a file of a group
PLACED = {**dict.fromkeys(STAGES, "training"), "stage_recipe": "recipe", "teacher.recipe": "recipe"}
# Keys of a method, of sbatch or of a dataclass that the file leaves at its defaults
FREE = re.compile(
    r"((teacher\.)?options|inference)\.|scale\.stage\d\.\w+\.|launcher\.sbatch\."
    r"|(training|stage\d)(\.parts\.\w+)?\.synthesis\b|(training|stage\d)\.parts\.\w+\.share\b"
)
PART = re.compile(r"(training|stage\d)\.parts\.\w+")  # its value names a file of the group `training`
# All that may be looked up from outside the suite's own files: environment variables and addresses are nobody's.
REFERENCE = re.compile(r"\$\{half:\$\{scale\.[\w.]+\}\}")
ADDRESSES = ("tracking_uri", "search")  # first parts of the keys that may hold a password


def read(arguments: list[str]) -> list[str]:
    """The texts in Hydra's grammar; `overrides=/path/to/file.yaml` stands for the lines of that file.

    A name, path or address is taken as it stands, whatever characters are in it, unless it is quoted or escaped
    already. Raises ConfigError for a file that cannot be read and for what no value may hold (`parse`).
    """
    texts = [_quoted(text) for given in arguments for text in _lines_of_file(given)]
    for text in texts:
        if "=" in text:
            parse(text)
    return texts


def parse(text: str) -> Override:
    """A text as Hydra reads it. Raises ConfigError, which names the key, for what no value may hold.

    That is: an interpolation, which might look up an environment variable, a list without brackets, or a key of
    Hydra's own, by which other folders would be searched for configurations.
    """
    key, _, value = text.partition("=")
    try:
        found = _parser().parse_override(in_hydra_terms(text))
    except (HydraException, RecursionError, ValueError):  # ValueError: a number of too many digits
        found = None
    for one in _strings(found.value() if found else value):
        if "${" in REFERENCE.sub("", one):
            raise ConfigError(f"{key}: '{shown(one)}' would be looked up elsewhere: give the value itself")
    if found is None or found.is_sweep_override():
        items = value[1:].removesuffix("]").split(",") if value[:1] == "[" else []
        quoted = f"[{','.join(_in_quotes(one.strip()) for one in items)}]" if items else _in_quotes(value)
        raise ConfigError(f'{key}={shown(value)} cannot be read: give "{key}={shown(quoted)}", or [...] for a list')
    if not found.key_or_group or found.key_or_group.startswith("hydra"):
        raise ConfigError(f"there is no key '{key}'")
    return found


def without_addresses(texts: list[str]) -> list[str]:
    """Those that set no key that may hold a password."""
    return [text for text in texts if parse(text).key_or_group.partition(".")[0] not in ADDRESSES]


def in_hydra_terms(text: str) -> str:
    """`options.x=1` for `++options.x=1`, as its keys are free; `stage0=static` for `training@stage0=static`.

    `training.parts.a=static` for `+training@training.parts.a=static`.
    """
    if FREE.match(text):
        return f"++{text}"
    key = text.partition("=")[0]
    if PART.fullmatch(key):
        return f"+{group_of(key)}@{text}"
    return f"{PLACED[key]}@{text}" if key in PLACED else text


def group_of(key: str) -> str:
    """The group of files one of which a key names; other keys are returned as they are."""
    return "training" if PART.fullmatch(key) else PLACED.get(key, key)


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


@cache
def _texts() -> dict[str, Setting]:
    """Of all jobs, keys whose value is any text, or a list of such."""
    return {key: one for job in ("", *JOBS) for key, one in settings(job).items() if one.is_text}


def _quoted(text: str) -> str:
    key, _, value = text.partition("=")
    setting = setting_for(_texts(), key.lstrip("+"))
    if setting is None or not value or value.lower() == "null" or value[0] in "'\"" or "\\" in value:
        return text
    if setting.paths and value[0] == "[" and value[-1] == "]":
        plain = value[1:-1].strip() and not set(value) & set("'\"{") and "[" not in value[1:]
        return f"{key}=[{','.join(_in_quotes(one.strip()) for one in value[1:-1].split(','))}]" if plain else text
    return f"{key}={_in_quotes(value)}"


def _in_quotes(value: str) -> str:
    return QuotedString(value, Quote.single).with_quotes()


def _lines_of_file(text: str) -> list[str]:
    """`overrides=file` as the `key=value` texts of the file; any other text as it is."""
    key, _, name = text.partition("=")
    if key != "overrides":
        return [text]
    try:
        path = Path(name).expanduser()
        is_small = stat.S_ISREG((status := path.stat()).st_mode) and status.st_size <= LARGEST_FILE
        found = _load(path.read_text(encoding="utf-8")) if is_small else None
    except (OSError, ValueError, yaml.YAMLError, RuntimeError) as error:  # RuntimeError: too deep, or a wrong ~user
        raise ConfigError(f"overrides={name} cannot be read: {first_line(error)}") from None
    if not is_small:
        raise ConfigError(f"overrides={name} cannot be read: give a file of at most {LARGEST_FILE >> 20} MiB")
    lines = found if isinstance(found, dict) else {0: found}
    values = [one for value in lines.values() for one in _values(value)]
    if not all(isinstance(one, SCALARS) for one in values) or not all(isinstance(key, str) for key in lines):
        raise ConfigError(f"overrides={name}: give lines of the form `dotted.key: value`")
    return [f"{key}={_in_hydra_grammar(value)}" for key, value in lines.items()]


def _load(text: str) -> Any:
    """YAML of a few values, without aliases, which can stand for millions of them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read here: write the value itself")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or count > MOST_EVENTS:
            raise yaml.YAMLError(f"give at most {MOST_EVENTS // 2} values, and lists of lists at most")
    return yaml.safe_load(text)


def _values(value: Any, depth: int = 0) -> Iterator[Any]:
    """A value, or those of a list of values or of lists of such."""
    if isinstance(value, list) and depth < 2:
        for one in value:
            yield from _values(one, depth + 1)
    else:
        yield value


def _in_hydra_grammar(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_in_hydra_grammar, value))}]"
    if isinstance(value, str):
        return _in_quotes(value)
    return "null" if value is None else str(value).lower()


def _strings(value: Any) -> Iterator[str]:
    """All texts in a value, those that are keys too."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    for one in value if isinstance(value, list) else ():
        yield from _strings(one)
    if isinstance(value, str):
        yield value
