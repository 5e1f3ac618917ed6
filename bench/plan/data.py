"""Finding what a configuration calls `dataset` (to evaluate on), `training` and its stages (to train on)."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.plan.compose import choices, plain, to_dataclass
from bench.plan.fingerprint import fingerprint, folder_names
from bench.plan.keys import STAGES
from bench.plan.recipe import Schedule
from bench.system.errors import ConfigError
from bench.system.progress import tracked
from datasets.errors import DataError
from datasets.layouts import Layout, call, layout_of, parts_of
from datasets.names import checked_name
from datasets.opening import folders_read, open_clips, shares_to_raise
from datasets.synthesis import Synthesis

NO_PARTS = ("mix", "none")  # of the choices of `training`


def locate(config: DictConfig, key: str, runs: Path) -> dict[str, Any]:
    """The config node `key` (`dataset`, `training`, `stage0`) with its folders found and a `fingerprint`.

    Generates the embedded set on first use. The fingerprint stands for the names and the content of all files (or,
    as `config.fingerprint` wants it, their sizes), so that results of other data under the same name are never
    mistaken for these. Raises ConfigError without a folder, for a share out of range or for data of another use,
    and DataError for a name that is none or a folder that does not exist.
    """
    return _located(plain(config[key]), key, runs, config.fingerprint)


def _located(spec: dict[str, Any], key: str, runs: Path, how: str) -> dict[str, Any]:
    checked_name(str(spec["name"]), f"{key}.name: the data")  # it becomes a part of paths
    layout, use = layout_of(str(spec["kind"])), "evaluation" if key == "dataset" else "training"
    if getattr(layout, use) is None:
        raise ConfigError(f"{key} '{spec['name']}': data of the kind {spec['kind']} is not for {use}")
    for name in layout.shares:
        share = spec.get(name, 0.0)
        if not isinstance(share, int | float) or not 0 <= share < 1:
            raise ConfigError(f"{key}.{name}={share}: give a share of at least 0 and below 1")
    synthesis_of(spec, key)  # a mistake is told before anything is computed
    _check_parts(spec, key, layout)
    if layout.parts:
        parts = {name: _located(part, f"{key}.parts.{name}", runs, how) for name, part in spec["parts"].items()}
        return with_shares({**spec, "parts": parts}, shares_of(spec))
    if layout.generate:
        shown = partial(tracked, stage="generate", what=str(spec["name"]), unit="sequences")
        folder = call(layout.generate, spec, root=runs / "data", progress=shown)
        return {**spec, "root": str(folder), "fingerprint": folder.name}
    for name in layout.mix or ("root",):
        if not spec.get(name):
            raise ConfigError(f"{key} '{spec['name']}' needs {key}.{name}=/path/to/its/folder")
        roots = [folder_at(one, f"{key}.{name}") for one in as_list(spec[name])]
        spec[name] = roots if len(roots) > 1 else roots[0]
    prints = [
        folder_names(folder) if names_only else fingerprint(folder, runs, how)
        for folder, names_only in folders_read(spec, use)
    ]
    return {**spec, "fingerprint": "+".join(prints)}


def shares_of(spec: Mapping[str, Any]) -> dict[str, float | None]:
    """How often clips are of each part of a node; None: it is left out."""
    return {name: part.get("share", 1.0) for name, part in (spec.get("parts") or {}).items()}


def with_shares(spec: dict[str, Any], shares: Mapping[str, float | None]) -> dict[str, Any]:
    """A mixture of located parts, of those that have a share; ConfigError where none has."""
    parts = {n: {**spec["parts"][n], "share": share} for n, share in sorted(shares.items()) if share is not None}
    if not parts:
        raise ConfigError(f"'{spec['name']}' has no part left: give the share of one a number above 0")
    return {**spec, "parts": parts, "fingerprint": "+".join(part["fingerprint"] for part in parts.values())}


def _check_parts(spec: dict[str, Any], key: str, layout: Layout) -> None:
    """Raise ConfigError for a mixture of nothing, for parts of what is none, and for one that is no data set."""
    parts = spec.get("parts") or {}
    if layout.parts and not parts:
        raise ConfigError(
            f"{key} '{spec['name']}' needs parts: {key}.parts.<name>=davis, say, and the keys of each"
        )
    if parts and not layout.parts:
        raise ConfigError(f"{key}.parts: '{spec['name']}' is not mixed of parts: take {key}=mix")
    for name, part in parts.items():
        if not {"name", "kind"} <= part.keys() or part["kind"] in NO_PARTS:
            known = ", ".join(one for one in choices("training") if one not in NO_PARTS)
            raise ConfigError(f"{key}.parts.{name} is no data set: give {key}.parts.{name}=<one of {known}>")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def folder_at(path: str, key: str) -> str:
    """The absolute path of a folder that a key names. Raises DataError where there is none."""
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise DataError(f"{key}: no folder {folder}")
    return str(folder)


def locate_all(config: DictConfig, runs: Path, *keys: str) -> dict[str, dict[str, Any]]:
    """What `keys` name and, by their own, the stages before the last; what has to be generated comes last.

    So a mistake in the others is told before that.
    """
    wanted = [*(stage for stage in STAGES if config[stage].kind != "none"), *keys]
    wanted.sort(key=lambda key: layout_of(str(config[key].kind)).generate is not None)
    return {key: locate(config, key, runs) for key in wanted}


def check_apart(dataset: dict[str, Any], learnt: list[dict[str, Any]]) -> None:
    """Raise ConfigError when one of the located trainings would see what is evaluated on."""
    for spec in (part for node in learnt for part in parts_of(node)):
        if shares := shares_to_raise(dataset, spec):
            given = " ".join(f"{share}={least}" for share, least in shares.items())
            possible = all(least < 1 for least in shares.values())
            raise ConfigError(
                f"training '{spec['name']}' would learn from data that dataset '{dataset['name']}' evaluates on: "
                f"{f'give it {given}' if possible else 'take another dataset.split'}"
            )


def open_training(
    spec: dict[str, Any], schedule: Schedule, seed: int, held_out: bool = False, length: int | None = None
):
    """A map-style stream of `steps * batch` clips (datasets.clips.ClipStream), a function of the seed alone.

    `held_out` opens the part (the share `spec.hold_out` of the videos or images, of each part of a mixture its own)
    that no training sees.
    `length` is frames a clip, by default the schedule's. Raises ConfigError when there is no such part.
    """
    from datasets.clips import ClipStream  # imports torch

    if held_out and not any(part.get("hold_out") for part in parts_of(spec)):
        raise ConfigError(f"no part of '{spec['name']}' is held out from training: set training.hold_out=0.1, say")
    size = {"length": length or schedule.length, "size": schedule.crop, "max_objects": schedule.max_objects}
    source = open_clips(spec, held_out, partial(synthesis_of, key="training"), **size, seed=seed)
    return ClipStream(source, schedule.steps, schedule.batch)


def synthesis_of(spec: Mapping[str, Any], key: str) -> Synthesis:
    """How the static images of a located node become clips. Raises ConfigError, which names the node's key."""
    given = spec.get("synthesis") or {}
    if given and not layout_of(spec["kind"]).synthesis:
        raise ConfigError(
            f"{key}.synthesis: '{spec['name']}' holds no images with masks to make clips of: take {key}=static"
        )
    try:
        return to_dataclass(OmegaConf.create(given), Synthesis)
    except ConfigError as error:
        raise ConfigError(f"{key}.synthesis: {error}") from None
