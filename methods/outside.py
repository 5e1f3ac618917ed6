"""Methods from outside the suite: a class in a user's file, one of an installed package, a folder of masks.

    my_file.py:MyMethod      a class, or a function that makes a method; asking for it runs the file
    masks:/path/to/folder    masks <sequence>/<frame>.png that some tool wrote
    their_name               an entry point of the group "vos_bench.methods"

No torch here: names are checked before it loads.
"""

import ast
import hashlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from methods.errors import MethodError

GROUP = "vos_bench.methods"
MASKS = "masks:"
IN_FILE = re.compile(r"(?P<file>.+\.py):(?P<attribute>\w+)")
HELP = "docs/own_method.md"


@dataclass(frozen=True)
class MaskFolder:
    """Masks `folder/<sequence>/<frame>.png`: nothing to run, so this is no Method; evaluation scores them."""

    folder: Path


def is_outside(name: str) -> bool:
    """Whether the name is of one of the three kinds above; what it names need not exist, but for entry points."""
    return bool(is_masks(name) or IN_FILE.fullmatch(name) or _entry_point(name))


def is_masks(name: str) -> bool:
    """Whether there is nothing to run, only masks to read."""
    return name.startswith(MASKS)


def check(name: str) -> None:
    """Raise MethodError, without running anything, where a file or folder is not there."""
    path = _path(name)
    if path and not (path.is_dir() if is_masks(name) else path.is_file()):
        kind = "folder" if is_masks(name) else "file"
        raise MethodError(f"method '{name}': no {kind} {path}")


def short_name(name: str) -> str:
    """The name without the folders before its last: `my_file.py:MyMethod`, `masks:folder`; others as they are."""
    path = _path(name)
    if path is None:
        return name
    return f"{MASKS}{path.name}" if is_masks(name) else f"{path.name}:{name.rpartition(':')[2]}"


def label(name: str) -> str:
    """How a table calls it: `MyMethod`, `folder`."""
    return short_name(name).rpartition(":")[2]


def identity(name: str) -> list[str]:
    """What a content hash holds of the method: its own name, and 16 digits of its source's or masks' SHA-256.

    Of a file its bytes count and those of modules beside it that it imports, of a package all its Python files
    and its version; where they lie does not.
    """
    if is_masks(name):
        return [MASKS, _digest(sorted(_path(name).rglob("*.png")), _path(name))]
    if entry := _entry_point(name):
        version = entry.dist.version if entry.dist else ""
        return [name, entry.value, version, _digest(_sources(name))]
    return [IN_FILE.fullmatch(name)["attribute"], _digest(_sources(name))]


def find(name: str) -> Callable[..., Any]:
    """What makes the method, called with its options. Raises MethodError for a file that fails or lacks it."""
    if is_masks(name):
        return lambda: MaskFolder(_path(name))
    try:
        if entry := _entry_point(name):
            return entry.load()
        module = _load(name)
    except (Exception, SystemExit) as error:  # a script that reads its arguments exits
        raise MethodError(describe_failure(error, name)) from None
    attribute = IN_FILE.fullmatch(name)["attribute"]
    if not callable(found := getattr(module, attribute, None)):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise MethodError(
            f"method '{name}': {_path(name)} has no {attribute}; there: {', '.join(own) or 'nothing'}"
        )
    return found


def create(name: str, options: dict[str, Any]):
    """The method, a network ready for inference; MethodError for whatever its constructor raises."""
    make = find(name)
    try:
        method = make(**options)
    except Exception as error:
        raise MethodError(describe_failure(error, name)) from None
    if isinstance(method, MaskFolder):
        return method
    missing = [part for part in ("start", "step") if not callable(getattr(method, part, None))]
    if missing:
        raise MethodError(f"{short_name(name)} has no {' and no '.join(missing)}: see {HELP}")
    from torch import nn

    return method.eval() if isinstance(method, nn.Module) else method


def is_trainable(name: str) -> bool:
    """Whether the suite knows how to train it: a class that has `roll_out` (methods/space_time.py)."""
    return not is_masks(name) and hasattr(find(name), "roll_out")


def describe_failure(error: BaseException, name: str) -> str:
    """One line: `my_file.py:12: ValueError: ...`, with the last line of the user's own code that was reached."""
    own = set(_sources(name))
    places = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename, error.lineno))
    places = [place for place in places if place[0] and Path(place[0]).resolve() in own]
    text = (str(error).strip().splitlines() or [""])[0]
    if not isinstance(error, MethodError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    elif not places:
        return text  # ours, which names the method
    return f"{'{}:{}'.format(*places[-1]) if places else short_name(name)}: {text}"


def _path(name: str) -> Path | None:
    """The file or folder that a name gives."""
    found = IN_FILE.fullmatch(name)
    text = name.removeprefix(MASKS) if is_masks(name) else found and found["file"]
    return None if text is None else Path(text).expanduser().resolve()


@cache
def _entry_point(name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=name)), None)


def _sources(name: str) -> list[Path]:
    """The files of the user's own code: the one that is named, and what it imports from beside it."""
    if entry := _entry_point(name):
        top = importlib.util.find_spec(entry.module.partition(".")[0])
        folders = list(top.submodule_search_locations or []) if top else []
        if folders:
            return sorted(file.resolve() for folder in folders for file in Path(folder).rglob("*.py"))
        return [Path(top.origin).resolve()] if top and top.origin else []
    file = _path(name)
    if file is None or not file.is_file():
        return []
    found, waiting = set(), [file]
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting += [other for other in _imported(path, file.parent) if other not in found]
    return sorted(found)


def _imported(path: Path, folder: Path) -> list[Path]:
    """Files that a file imports from `folder`, or by relative imports from where it lies."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # which running the file will tell
        return []
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [(folder, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else folder
            modules += [(base, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names]
    found = []
    for base, module in modules:
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            place = base.joinpath(*parts[:depth])
            found += [f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()]
    return found


def _load(name: str) -> ModuleType:
    """Run the user's file as a module; again only when it has changed."""
    file = _path(name)
    key = f"vos_bench_outside_{_digest(_sources(name), Path('/'))}"
    if key in sys.modules:
        return sys.modules[key]
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # last: a folder `datasets` of the user's must not hide the suite's
    spec = importlib.util.spec_from_file_location(key, file, loader=_FromSource(key, str(file)))
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module  # dataclasses and pickle look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[key]
        raise
    return module


class _FromSource(SourceFileLoader):
    """Without __pycache__, which takes an edit of the same length within the same second for no edit."""

    def get_code(self, fullname: str):
        return self.source_to_code(self.get_data(self.path), self.path)


def _digest(files: list[Path], base: Path | None = None) -> str:
    """16 digits of the SHA-256 of the files' bytes and of their paths below `base`, or what they have in common."""
    digest, base = hashlib.sha256(), base or os.path.commonpath(files or ["/"])
    for file in files:
        content = _content_digest(file) if file.suffix == ".py" else _mask_digest(file, file.stat().st_mtime_ns)
        digest.update(f"{os.path.relpath(file, base)} {content}\n".encode())
    return digest.hexdigest()[:16]


def _content_digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _mask_digest(file: Path, changed_ns: int) -> str:
    """As of a source, but read once as long as its time of change stays: of masks there are thousands."""
    return _content_digest(file)
