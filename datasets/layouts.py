"""One table of data layouts: how each kind of data is opened, and what may be done with it.

A layout of one's own needs no line here: `dataset.kind=my_module:LAYOUT` names it, or its module calls `register`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from datasets.errors import DataError

Node = Mapping[str, Any]  # what a configuration calls `dataset` or `training`: name, kind, folders, options
Function = str | Callable  # "module:name", imported when it is called: this module loads neither torch nor OpenCV


@dataclass(frozen=True)
class Layout:
    """What there is to know of a kind of data. Its functions get the keys of a node that their parameters name."""

    videos: Function | None = None  # gives a VideoSet
    images: Function | None = None  # gives a list of static images instead, on which prompts are answered
    mix: Mapping[str, str] | None = None  # root -> kind: videos of several kinds, `<x>_copies` of each `<x>_root`
    parts: bool = False  # it is mixed of other data, each a node of `parts` with a `share`
    evaluation: Mapping[str, Any] | None = None  # options that hold in this use alone; None: it is not for it
    training: Mapping[str, Any] | None = None
    synthesis: bool = False  # whether clips are made of its images
    generate: Function | None = None  # makes the data below the folder `root` and gives its own; no `root` is given
    folders: Function | None = None  # gives those that are read, by default `root`
    names_only: bool = False  # it has too many files to note more of them than the names of folders
    shares: tuple[str, ...] = ("hold_out",)  # keys of the shares of the data that are held out of training
    held_out: Function | None = None  # gives {share: least} to keep what is evaluated out of training; else all
    one_source: bool = False  # all folders of this kind hold the same videos, as of a published data set
    official_tool: bool = True  # it is scored as DAVIS is, so that DAVIS's own tool can
    submission: Function | None = None  # packs a folder `masks` as `zip_path` for a server with the ground truth


YOUTUBE_SHARES = ("hold_out", "judged", "unseen")
LAYOUTS = {
    "embedded": Layout(
        videos="datasets.davis:open_davis",
        evaluation={"year": 2017, "split": "val"},
        training={"year": 2017, "split": "train"},
        generate="datasets.embedded:generate",
    ),
    "davis": Layout(videos="datasets.davis:open_davis", evaluation={}, training={}),
    "youtube_vos": Layout(
        videos="datasets.youtube_vos:open_youtube_vos",
        evaluation={},
        training={"split": "rest"},
        folders="datasets.youtube_vos:split_folders",
        shares=YOUTUBE_SHARES,
        held_out="datasets.youtube_vos:shares_held_out",
        one_source=True,
        official_tool=False,
        submission="datasets.youtube_vos:export_submission",
    ),
    "davis_youtube": Layout(
        mix={"davis_root": "davis", "youtube_root": "youtube_vos"}, training={}, shares=YOUTUBE_SHARES
    ),
    "mix": Layout(parts=True, training={}, shares=()),
    "bl30k": Layout(videos="datasets.bl30k:open_bl30k", training={}, names_only=True),
    "folder": Layout(videos="datasets.folder:open_folder", evaluation={}),
    "static": Layout(images="datasets.static:open_static", evaluation={}, training={}, synthesis=True),
    "photos": Layout(images="datasets.static:open_photos", evaluation={}, training={}),
}


def register(kind: str, layout: Layout) -> None:
    """Add a layout to this process's table; workers know it by `module:NAME`. ValueError for a kind that exists."""
    if kind in LAYOUTS:
        raise ValueError(f"a data layout '{kind}' exists already: choose another name")
    LAYOUTS[kind] = layout


def layout_of(kind: str) -> Layout:
    """The layout of the table, or that called `module:NAME`. Raises DataError where there is none."""
    try:
        found = _load(kind) if ":" in kind else LAYOUTS.get(kind)
    except (ImportError, AttributeError) as error:
        raise DataError(f"cannot load the data layout '{kind}': {error}") from None
    if not isinstance(found, Layout):
        raise DataError(f"unknown data layout '{kind}'; known: {', '.join(LAYOUTS)}, or module:NAME of one")
    return found


def parts_of(node: Node) -> list[Node]:
    """The data that a node mixes, in order of their names; without parts, the node itself."""
    return [part for _, part in sorted(node["parts"].items())] if node.get("parts") else [node]


def each_root(node: Node) -> list[Node]:
    """The node for each folder of its `root`, which may be a list: of one layout, they are one set of data."""
    root = node.get("root")
    return [{**node, "root": one} for one in root] if isinstance(root, list) else [node]


def call(function: Function, node: Node, **options: Any) -> Any:
    """Call a layout's function with those keys of the options and the node that its parameters name.

    Raises DataError for a parameter that has neither one nor a default.
    """
    function = _load(function) if isinstance(function, str) else function
    given, wanted = {**node, **options}, signature(function).parameters.values()
    missing = [one.name for one in wanted if one.default is Parameter.empty and one.name not in given]
    if missing:
        raise DataError(f"data '{node['name']}' of the kind {node['kind']} needs a key '{missing[0]}'")
    if "root" in given:
        given["root"] = Path(given["root"])
    return function(**{one.name: given[one.name] for one in wanted if one.name in given})


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
