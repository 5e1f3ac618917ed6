"""Opening what a configuration calls `dataset` (to be judged on) and `training` (to learn from)."""

import hashlib
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.errors import ConfigError
from bench.recipe import Schedule
from datasets.davis import open_davis
from datasets.embedded import EmbeddedSpec, ensure_embedded
from datasets.errors import DataError
from datasets.folder import open_folder
from datasets.sequence import VideoSet
from datasets.static import open_static


def locate(node: DictConfig, key: str, runs: Path) -> dict[str, Any]:
    """The config node `dataset` or `training` (its name is `key`) with `root` found and a `fingerprint`.

    Generates the embedded set on first use. The fingerprint stands for the names and sizes of all files, so
    that results of other data under the same name are never mistaken for these. Raises ConfigError without
    a root and DataError for one that does not exist.
    """
    spec = OmegaConf.to_container(node)
    if spec["kind"] == "embedded":
        folder = ensure_embedded(runs / "data", EmbeddedSpec())
        return {**spec, "root": str(folder), "fingerprint": folder.name}
    if not spec.get("root"):
        raise ConfigError(f"{key}={spec['name']} needs {key}.root=/path/to/its/folder")
    root = Path(spec["root"]).expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"{key}.root: no folder {root}")
    return {**spec, "root": str(root), "fingerprint": fingerprint(root)}


def open_evaluation(spec: dict[str, Any]) -> VideoSet:
    """The sequences to be judged on: the validation part of the embedded set, DAVIS, or a plain folder."""
    root = Path(spec["root"])
    if spec["kind"] == "embedded":
        return open_davis(root, 2017, "val", name=spec["name"])
    if spec["kind"] == "davis":
        return open_davis(root, spec["year"], spec["split"], spec["resolution"], spec["name"])
    return open_folder(root, spec["name"])


def open_training(spec: dict[str, Any], schedule: Schedule, seed: int):
    """A map-style stream of `steps * batch` clips (datasets.clips.ClipStream), a function of the seed alone."""
    from datasets.clips import ClipStream, StillClips, VideoClips  # imports torch: only training pays for it

    root = Path(spec["root"])
    size = {
        "length": schedule.length,
        "size": schedule.crop,
        "max_objects": schedule.max_objects,
        "seed": seed,
    }
    if spec["kind"] == "static":
        source = StillClips(open_static(root), **size)
    elif spec["kind"] == "embedded":
        source = VideoClips(open_davis(root, 2017, "train"), **size)
    else:
        source = VideoClips(open_davis(root, spec["year"], spec["split"], spec["resolution"]), **size)
    return ClipStream(source, schedule.steps, schedule.batch)


def fingerprint(root: Path) -> str:
    """Hash of the relative names and sizes of all files below a folder."""
    digest = hashlib.sha256()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders.sort()
        for path in (Path(folder, name) for name in sorted(files) if not name.startswith(".")):
            digest.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]
