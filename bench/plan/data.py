"""Opening what a configuration calls `dataset` (to be judged on), `training` and its stages (to learn from)."""

import hashlib
import os
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.plan.compose import to_dataclass
from bench.plan.recipe import Schedule
from bench.system.errors import ConfigError
from datasets.bl30k import open_bl30k
from datasets.davis import open_davis
from datasets.embedded import EmbeddedSpec, ensure_embedded
from datasets.errors import DataError
from datasets.folder import open_folder
from datasets.sequence import VideoSet
from datasets.split import hold_out, hold_out_videos
from datasets.static import StillImage, frames_of, open_photos, open_static
from datasets.synthesis import Synthesis
from datasets.youtube_vos import open_youtube_vos, split_folders, split_held_out

SHARES = ("hold_out", "judged", "unseen")
STILLS = {"static": open_static, "photos": open_photos}  # kinds of data that are no videos


def locate(node: DictConfig, key: str, runs: Path) -> dict[str, Any]:
    """The config node `key` (`dataset`, `training`, `stage0`) with its folders found and a `fingerprint`.

    Generates the embedded set on first use. Folders are the keys that end in `root`. The fingerprint stands
    for the names and sizes of all files, so that results of other data under the same name are never
    mistaken for these. Raises ConfigError without a folder or for a share out of range, and DataError for a
    folder that does not exist.
    """
    spec = OmegaConf.to_container(node)
    for name in SHARES:
        share = spec.get(name, 0.0)
        if not isinstance(share, int | float) or not 0 <= share < 1:
            raise ConfigError(f"{key}.{name}={share}: give a share of at least 0 and below 1")
    synthesis_of(spec, key)  # a mistake is told before anything is computed
    if spec["kind"] == "embedded":
        folder = ensure_embedded(runs / "data", EmbeddedSpec())
        return {**spec, "root": str(folder), "fingerprint": folder.name}
    prints = []
    for name in [name for name in spec if name.endswith("root")]:
        if not spec[name]:
            raise ConfigError(f"{key} '{spec['name']}' needs {key}.{name}=/path/to/its/folder")
        root = Path(spec[name]).expanduser().absolute()
        if not root.is_dir():
            raise DataError(f"{key}.{name}: no folder {root}")
        spec[name] = str(root)
        prints += [fingerprint(folder, names_only=spec["kind"] == "bl30k") for folder in _folders(spec, name)]
    return {**spec, "fingerprint": "+".join(prints)}


def check_apart(dataset: dict[str, Any], learnt: list[dict[str, Any]]) -> None:
    """Raise ConfigError when one of the located trainings would see what is judged on.

    Held-out parts are nested: a larger share holds out all that a smaller one does.
    """
    if dataset["kind"] in STILLS:
        same = [spec for spec in learnt if spec["fingerprint"] == dataset["fingerprint"]]
        if any(spec.get("hold_out", 0) < dataset["hold_out"] for spec in same):
            raise ConfigError(
                f"training '{same[0]['name']}' would learn from images that dataset '{dataset['name']}' judges on: "
                f"give both the same hold_out"
            )
    if dataset["kind"] != "youtube_vos" or dataset["split"] not in ("held_out", "train"):
        return
    for spec in learnt:
        shares = [spec.get(share, 0) >= dataset[share] for share in ("judged", "unseen")]
        if "youtube" in spec["kind"] and (dataset["split"] == "train" or not all(shares)):
            raise ConfigError(
                f"training '{spec['name']}' would learn from videos that dataset '{dataset['name']}' judges on: "
                f"give it judged={dataset['judged']} unseen={dataset['unseen']}"
            )


def open_evaluation(spec: dict[str, Any]) -> VideoSet:
    """The sequences to be judged on: the validation part of the embedded set, DAVIS, YouTube-VOS, a folder.

    Raises ConfigError for still images.
    """
    root = Path(spec["root"])
    if spec["kind"] in STILLS:
        raise ConfigError(
            f"dataset '{spec['name']}' holds no videos: judge on it by ablation=decoupled alone"
        )
    if spec["kind"] == "embedded":
        return open_davis(root, 2017, "val", name=spec["name"])
    if spec["kind"] == "davis":
        return open_davis(root, spec["year"], spec["split"], spec["resolution"], spec["name"])
    if spec["kind"] == "youtube_vos":
        videos = open_youtube_vos(root, _youtube_split(spec), spec["all_frames"], spec["name"])
        if spec["split"] != "held_out":
            return videos
        held_out = split_held_out(videos, spec["judged"], spec["unseen"])[1]
        if not held_out.sequences:
            raise ConfigError(
                "dataset.judged=0 and dataset.unseen=0 hold no video out to judge on: raise one"
            )
        return held_out
    return open_folder(root, spec["name"])


def open_judged(spec: dict[str, Any]) -> VideoSet | list[StillImage]:
    """What a cell's dataset is judged on: `open_evaluation`, or images where the cell is judged by prompts.

    These are the held-out share of stills, or the annotated frames of videos.
    """
    if "prompts" not in spec:
        return open_evaluation(spec)
    return _stills(spec, held_out=True) if spec["kind"] in STILLS else frames_of(open_evaluation(spec))


def open_training_images(spec: dict[str, Any], held_out: bool = False) -> list[StillImage]:
    """The images to learn from: stills, or the annotated frames of videos; `held_out`: those of the other part.

    Without a held-out part (`spec.hold_out` 0) there are none in it.
    """
    if spec["kind"] in STILLS:
        return _stills(spec, held_out)
    if held_out and spec["hold_out"] == 0:
        return []
    return [image for videos, _ in _training_videos(spec, held_out) for image in frames_of(videos)]


def open_training(
    spec: dict[str, Any], schedule: Schedule, seed: int, held_out: bool = False, length: int | None = None
):
    """A map-style stream of `steps * batch` clips (datasets.clips.ClipStream), a function of the seed alone.

    `held_out` opens the part (the share `spec.hold_out` of the videos or stills) that no training sees.
    `length` is frames a clip, by default the schedule's. Raises ConfigError when there is no such part.
    """
    from datasets.clips import ClipStream, MixedClips, StillClips, VideoClips  # imports torch

    if held_out and spec["hold_out"] == 0:
        raise ConfigError(
            f"no part of '{spec['name']}' is held out from training: set training.hold_out=0.1, say"
        )
    size = {
        "length": length or schedule.length,
        "size": schedule.crop,
        "max_objects": schedule.max_objects,
        "seed": seed,
    }
    if spec["kind"] == "photos":
        raise ConfigError(f"training '{spec['name']}' has no masks: it is for ablation=decoupled alone")
    if spec["kind"] == "static":
        source = StillClips(_stills(spec, held_out), **size, settings=synthesis_of(spec, "training"))
    else:
        sets = _training_videos(spec, held_out)
        sources = [(VideoClips(videos, **size), copies) for videos, copies in sets]
        source = sources[0][0]
        if len(sources) > 1:
            source = MixedClips([(clips, copies * len(clips.videos)) for clips, copies in sources], seed)
    return ClipStream(source, schedule.steps, schedule.batch)


def synthesis_of(spec: dict[str, Any], key: str) -> Synthesis:
    """How the stills of a located node become clips. Raises ConfigError, which names the node's key."""
    given = spec.get("synthesis") or {}
    if given and spec.get("kind") != "static":
        raise ConfigError(
            f"{key}.synthesis: '{spec['name']}' holds no stills to make clips of: take {key}=static"
        )
    try:
        return to_dataclass(OmegaConf.create(given), Synthesis)
    except ConfigError as error:
        raise ConfigError(f"{key}.synthesis: {error}") from None


def _stills(spec: dict[str, Any], held_out: bool) -> list[StillImage]:
    """The part of still images that is held out, or the other."""
    return hold_out(STILLS[spec["kind"]](Path(spec["root"])), spec["hold_out"])[held_out]


def _training_videos(spec: dict[str, Any], held_out: bool) -> list[tuple[VideoSet, int]]:
    """The sets that a training draws its clips from, or what it holds out of them, each with its copies."""
    sets = _all_training_videos(spec)
    if spec["hold_out"] == 0:
        return sets
    return [(hold_out_videos(videos, spec["hold_out"])[held_out], copies) for videos, copies in sets]


def _all_training_videos(spec: dict[str, Any]) -> list[tuple[VideoSet, int]]:
    kind = spec["kind"]
    if kind == "embedded":
        return [(open_davis(Path(spec["root"]), 2017, "train"), 1)]
    if kind == "bl30k":
        return [(open_bl30k(Path(spec["root"])), 1)]
    sets = []
    if kind in ("davis", "davis_youtube"):
        root = Path(spec["davis_root" if kind == "davis_youtube" else "root"])
        davis = open_davis(root, spec["year"], spec["split"], spec["resolution"])
        sets.append((davis, spec.get("davis_copies", 1)))
    if kind in ("youtube_vos", "davis_youtube"):
        root = Path(spec["youtube_root" if kind == "davis_youtube" else "root"])
        videos = open_youtube_vos(root, "train")
        if spec["judged"] > 0 or spec["unseen"] > 0:
            videos = split_held_out(videos, spec["judged"], spec["unseen"])[0]
        sets.append((videos, 1))
    return sets


def _youtube_split(spec: dict[str, Any]) -> str:
    """The split of the download that is read: the videos to train on and those held out are both of `train`."""
    split = spec.get("split", "held_out")
    return "train" if split == "held_out" else split


def _folders(spec: dict[str, Any], name: str) -> list[Path]:
    """What is read below `spec[name]`: of YouTube-VOS one split alone, as others may be fetched at any time."""
    root = Path(spec[name])
    if spec["kind"] == "youtube_vos":
        return split_folders(root, _youtube_split(spec), spec.get("all_frames", False))
    return split_folders(root) if name == "youtube_root" else [root]


def fingerprint(root: Path, names_only: bool = False) -> str:
    """Hash of the relative names and sizes of all files below a folder.

    `names_only` takes the names of folders, three deep, alone: BL30K has ten million files.
    """
    digest = hashlib.sha256()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders.sort()
        below = Path(folder).relative_to(root)
        if names_only:
            digest.update(f"{below}: {' '.join(subfolders)}\n".encode())
            if len(below.parts) == 2:
                subfolders.clear()
            continue
        for path in (Path(folder, name) for name in sorted(files) if not name.startswith(".")):
            digest.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]
