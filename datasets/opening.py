"""Opening the data that a located node of a configuration names: to evaluate on, or to train on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import DataError
from datasets.layouts import Layout, Node, call, each_root, layout_of, parts_of
from datasets.sequence import VideoSet
from datasets.split import hold_out, hold_out_videos
from datasets.static import StaticImage, frames_of
from datasets.synthesis import Synthesis

if TYPE_CHECKING:
    from datasets.clips import ClipSource, DrawnClips  # imports torch


def folders_read(node: Node, use: str) -> list[tuple[Path, bool]]:
    """The folders that are read for `evaluation` or `training`, and of each whether names are all to note of it."""
    found = []
    for layout, part, _ in _parts(node):
        options = getattr(layout, use)
        for one in each_root(part):
            folders = call(layout.folders, one, **options) if layout.folders else [Path(one["root"])]
            found += [(folder, layout.names_only) for folder in folders]
    return found


def open_evaluation(node: Node) -> VideoSet:
    """The videos to evaluate on. Raises DataError for images."""
    layout = layout_of(node["kind"])
    if not layout.videos:
        raise DataError(f"dataset '{node['name']}' holds no videos: evaluate on it by ablation=decoupled alone")
    return call(layout.videos, node, **(layout.evaluation or {}))


def open_images(node: Node, held_out: bool = False) -> list[StaticImage]:
    """The images to train on: static ones, or the annotated frames of videos; `held_out`: those of the other part.

    Without a held-out part (`hold_out` 0) there are none in it. Those of static images are also to evaluate on.
    Raises DataError for a mixture, whose shares are those of clips.
    """
    layout, share = layout_of(node["kind"]), node.get("hold_out", 0)
    if layout.parts:
        raise DataError(f"training '{node['name']}' mixes clips, not images: take one data set, of several folders")
    if opener := layout.images:
        images = [image for one in each_root(node) for image in call(opener, one)]
        return hold_out(images, share)[held_out]
    if held_out and share == 0:
        return []
    return [image for videos, _ in _training_videos(node, held_out) for image in frames_of(videos)]


def open_clips(node: Node, held_out: bool, synthesis: Callable[[Node], Synthesis], **options: Any) -> "ClipSource":
    """Clips to train on; the options are those of datasets.clips.

    synthesis: says of a node how clips are made of its static images. Of a mixture, `held_out` opens what its parts
    hold out, and leaves out those that hold out nothing. Raises DataError for images without masks.
    """
    from datasets.clips import MixedClips  # imports torch

    parts = parts_of(node)
    if held_out and node.get("parts"):
        parts = [part for part in parts if part.get("hold_out")]
    weighted = []
    for part in parts:
        sources = _sources(part, held_out, synthesis, options)
        whole = sum(weight for _, weight in sources)
        factor = part["share"] / whole if node.get("parts") else 1
        weighted += [(clips, weight * factor) for clips, weight in sources]
    return weighted[0][0] if len(weighted) == 1 else MixedClips(weighted, options["seed"])


def _sources(
    node: Node, held_out: bool, synthesis: Callable[[Node], Synthesis], options: dict[str, Any]
) -> list[tuple["DrawnClips", float]]:
    """What clips of one data set are drawn from, each with its weight."""
    from datasets.clips import StaticClips, VideoClips  # imports torch

    layout = layout_of(node["kind"])
    if layout.images and not layout.synthesis:
        raise DataError(f"training '{node['name']}' has no masks: it is for ablation=decoupled alone")
    if layout.images:
        return [(StaticClips(open_images(node, held_out), **options, settings=synthesis(node)), 1)]
    opened = ((VideoClips(videos, **options), copies) for videos, copies in _training_videos(node, held_out))
    return [(clips, copies * len(clips.videos)) for clips, copies in opened]


def shares_to_raise(evaluated: Node, learnt: Node) -> Node:
    """{share: least value} without which training on `learnt` would see what is `evaluated`; {} where it does not.

    learnt: one data set, not a mixture. Held-out parts are nested: a larger share holds out all that a smaller one
    does.
    """
    layout = layout_of(evaluated["kind"])
    known = layout.one_source and any(part is layout for part, *_ in _parts(learnt))
    if not known and not prints(evaluated) & prints(learnt):
        return {}
    shares = {share: evaluated[share] for share in layout.shares if share in evaluated}
    shares = call(layout.held_out, evaluated) if layout.held_out else shares
    return shares if any(learnt.get(share, 0) < least for share, least in shares.items()) else {}


def prints(node: Node) -> set[str]:
    """The fingerprint of each folder that a located node reads."""
    return set(node["fingerprint"].split("+"))


def export_submission(node: Node, masks: Path, zip_path: Path) -> None:
    """Pack masks `<video>/<frame>.png` for the server that evaluates such data, where there is one."""
    if submission := layout_of(node["kind"]).submission:
        call(submission, node, masks=masks, zip_path=zip_path)


def _training_videos(node: Node, held_out: bool) -> list[tuple[VideoSet, int]]:
    """The sets that a training draws its clips from, or what it holds out of them, each with its copies."""
    share, found = node.get("hold_out", 0), []
    for layout, part, copies in _parts(node):
        assert layout.videos and layout.training is not None
        sets = [call(layout.videos, one, **layout.training) for one in each_root(part)]
        videos = replace(sets[0], sequences=tuple(video for one in sets for video in one.sequences))
        found.append((hold_out_videos(videos, share)[held_out] if share else videos, copies))
    return found


def _parts(node: Node) -> list[tuple[Layout, Node, int]]:
    """The data below the roots of a layout, each with its copies; most often one."""
    layout = layout_of(node["kind"])
    return [
        (layout_of(kind), {**node, "root": node[key]}, node.get(key.replace("_root", "_copies"), 1))
        for key, kind in (layout.mix or {}).items()
    ] or [(layout, node, 1)]
