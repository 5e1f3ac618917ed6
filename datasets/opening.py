"""Opening the data that a located node of a configuration names: to evaluate on, or to train on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import DataError
from datasets.layouts import Layout, Node, call, layout_of
from datasets.sequence import VideoSet
from datasets.split import hold_out, hold_out_videos
from datasets.static import StaticImage, frames_of
from datasets.synthesis import Synthesis

if TYPE_CHECKING:
    from datasets.clips import ClipSource  # imports torch


def folders_read(node: Node, use: str) -> list[tuple[Path, bool]]:
    """The folders that are read for `evaluation` or `training`, and of each whether names are all to note of it."""
    found = []
    for layout, part, _ in _parts(node):
        options = getattr(layout, use)
        folders = call(layout.folders, part, **options) if layout.folders else [Path(part["root"])]
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
    """
    share = node.get("hold_out", 0)
    if opener := layout_of(node["kind"]).images:
        return hold_out(call(opener, node), share)[held_out]
    if held_out and share == 0:
        return []
    return [image for videos, _ in _training_videos(node, held_out) for image in frames_of(videos)]


def open_clips(node: Node, held_out: bool, synthesis: Synthesis, **options: Any) -> "ClipSource":
    """Clips to train on (the options are those of datasets.clips), of static images made as `synthesis` says.

    Raises DataError for images without masks.
    """
    from datasets.clips import MixedClips, StaticClips, VideoClips  # imports torch

    layout = layout_of(node["kind"])
    if layout.images and not layout.synthesis:
        raise DataError(f"training '{node['name']}' has no masks: it is for ablation=decoupled alone")
    if layout.images:
        return StaticClips(open_images(node, held_out), **options, settings=synthesis)
    sets = _training_videos(node, held_out)
    sources = [(VideoClips(videos, **options), copies) for videos, copies in sets]
    if len(sources) == 1:
        return sources[0][0]
    weighted = [(clips, copies * len(clips.videos)) for clips, copies in sources]
    return MixedClips(weighted, options["seed"])


def shares_to_raise(evaluated: Node, learnt: Node) -> Node:
    """{share: least value} without which training on `learnt` would see what is `evaluated`; {} where it does not.

    Held-out parts are nested: a larger share holds out all that a smaller one does.
    """
    layout = layout_of(evaluated["kind"])
    known = layout.one_source and any(part is layout for part, *_ in _parts(learnt))
    if not known and evaluated["fingerprint"] != learnt["fingerprint"]:
        return {}
    shares = {share: evaluated[share] for share in layout.shares if share in evaluated}
    shares = call(layout.held_out, evaluated) if layout.held_out else shares
    return shares if any(learnt.get(share, 0) < least for share, least in shares.items()) else {}


def export_submission(node: Node, masks: Path, zip_path: Path) -> None:
    """Pack masks `<video>/<frame>.png` for the server that evaluates such data, where there is one."""
    if submission := layout_of(node["kind"]).submission:
        call(submission, node, masks=masks, zip_path=zip_path)


def _training_videos(node: Node, held_out: bool) -> list[tuple[VideoSet, int]]:
    """The sets that a training draws its clips from, or what it holds out of them, each with its copies."""
    share, found = node.get("hold_out", 0), []
    for layout, part, copies in _parts(node):
        assert layout.videos and layout.training is not None
        videos = call(layout.videos, part, **layout.training)
        found.append((hold_out_videos(videos, share)[held_out] if share else videos, copies))
    return found


def _parts(node: Node) -> list[tuple[Layout, Node, int]]:
    """The data that is mixed, each with its copies; most often one."""
    layout = layout_of(node["kind"])
    return [
        (layout_of(kind), {**node, "root": node[key]}, node.get(key.replace("_root", "_copies"), 1))
        for key, kind in (layout.mix or {}).items()
    ] or [(layout, node, 1)]
