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
FOREIGN = (Exception, SystemExit)  # what code of others may raise: a script that reads its arguments exits


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
    if is_masks(name):
        if not _path(name).is_dir():
            raise MethodError(f"method '{name}': no folder {_path(name)}")
    elif IN_FILE.fullmatch(name) and not _path(name).is_file():
        raise MethodError(f"method '{name}': no file {_path(name)}")


def short_name(name: str) -> str:
    """The name without the folders before its last: `my_file.py:MyMethod`, `masks:folder`; others as they are."""
    if is_masks(name):
        return MASKS + _path(name).name
    return f"{_path(name).name}:{_attribute(name)}" if IN_FILE.fullmatch(name) else name


def label(name: str) -> str:
    """How a table calls it: `MyMethod`, `folder`."""
    return short_name(name).rpartition(":")[2]


def identity(name: str) -> list[str]:
    """What a content hash holds of the method: its own name, and 16 digits of its source's or masks' SHA-256.

    Of a file its bytes count and those of modules beside it that it imports, of a package all its Python files
    and its version; where they lie does not.
    """
    if is_masks(name):
        folder = _path(name)
        return [MASKS, _digest(sorted(file for file in folder.rglob("*.png") if file.is_file()), folder)]
    if entry := _entry_point(name):
        return [name, entry.value, entry.dist.version if entry.dist else "", _digest(_sources(name))]
    return [_attribute(name), _digest(_sources(name))]


def find(name: str) -> Callable[..., Any]:
    """What makes the method, called with its options. Raises MethodError for a file that fails or lacks it."""
    if is_masks(name):
        return lambda: MaskFolder(_path(name))
    try:
        if entry := _entry_point(name):
            return entry.load()
        module = _load(name)
    except FOREIGN as error:
        raise MethodError(describe_failure(error, name)) from None
    found = getattr(module, _attribute(name), None)
    if not callable(found):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        there = f"{_path(name)} has no {_attribute(name)}; there: {', '.join(own) or 'nothing'}"
        raise MethodError(f"method '{name}': {there}")
    return found


def create(name: str, options: dict[str, Any]):
    """The method, a network ready for inference; MethodError for whatever its constructor raises."""
    make = find(name)
    try:
        method = make(**options)
    except FOREIGN as error:
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
        places.append((error.filename or "", error.lineno))
    places = [place for place in places if place[0] and Path(place[0]).resolve() in own]
    text = (str(error).strip().splitlines() or [""])[0]
    if not isinstance(error, MethodError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    elif not places:
        return text  # ours, which names the method
    return f"{'{}:{}'.format(*places[-1]) if places else short_name(name)}: {text}"


def _path(name: str) -> Path:
    """The file or folder that the name of a user's file or of masks gives."""
    text = name.removeprefix(MASKS) if is_masks(name) else name.rpartition(":")[0]
    return Path(text).expanduser().resolve()


def _attribute(name: str) -> str:
    return name.rpartition(":")[2]


@cache
def _entry_point(name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=GROUP, name=name)), None)


def _sources(name: str) -> list[Path]:
    """The files of the user's own code: the one that is named, and what it imports from beside it."""
    if entry := _entry_point(name):
        top = importlib.util.find_spec(entry.module.partition(".")[0])
        if top and top.submodule_search_locations:
            folders = map(Path, top.submodule_search_locations)
            return sorted(file.resolve() for folder in folders for file in folder.rglob("*.py"))
        return [Path(top.origin).resolve()] if top and top.origin else []
    if is_masks(name) or not _path(name).is_file():
        return []
    found: set[Path] = set()
    waiting = {_path(name)}
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= _imported(path, _path(name).parent) - found
    return sorted(found)


def _imported(path: Path, folder: Path) -> set[Path]:
    """Files that a file imports from `folder`, or by relative imports from where it lies."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # which running the file will tell
        return set()
    modules: list[tuple[Path, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [(folder, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else folder
            modules += [(base, f"{node.module or ''}.{alias.name}".lstrip(".")) for alias in node.names]
    found = set()
    for base, module in modules:
        place = base
        for part in module.split("."):
            place = place / part
            found |= {f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file()}
    return found


def _load(name: str) -> ModuleType:
    """Run the user's file as a module; again only when it has changed."""
    file = _path(name)
    key = f"vos_bench_outside_{_digest(_sources(name), Path('/'))}"
    if key in sys.modules:
        return sys.modules[key]
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # last: a folder `datasets` of the user's must not hide the suite's
    loader = _FromSource(key, str(file))
    spec = importlib.util.spec_from_file_location(key, file, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[key] = module  # dataclasses and pickle look there
    try:
        loader.exec_module(module)
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
    digest, base = hashlib.sha256(), base or Path(os.path.commonpath(files) if files else "/")
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
