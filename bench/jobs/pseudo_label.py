"""job=pseudo_label: a trained network labels videos without masks; others learn from what it finds twice."""

import re
import shutil
import sys
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from bench.jobs.results import results_folder
from bench.plan.ablation import given_network
from bench.plan.cells import EVALUATION_VERSION, Network, content_hash, file_hash, name_for_files
from bench.plan.compose import plain
from bench.plan.data import as_list, folder_at
from bench.plan.fingerprint import fingerprint
from bench.run.networks import build
from bench.score.agreement import label
from bench.score.first_masks import Start, given, pasted, proposed
from bench.score.metrics.region import region
from bench.system.environment import describe_environment, pick_device
from bench.system.errors import ConfigError, say
from bench.system.files import full_path, read_json, replace_atomically, write_json, write_text
from bench.system.locks import alone
from bench.system.progress import track
from datasets.images import write_mask
from datasets.static import StaticImage, open_static
from datasets.unlabelled import Clip, open_unlabelled
from methods import outside

SUMMARY = "summary.json"
SETTINGS = ("objects", "agreement", "shortest", "seed")  # what the labels depend on, beside data and networks
RESOLUTION, LIST = "480p", "ImageSets/2017/train.txt"  # where training=davis looks by default
QUALITY = 95  # of the JPEGs of frames with pasted objects
LONGEST_STEM = 60
SHAPE = {
    "key": str, "frames": int, "kept": int, "objects": int, "first": str | None, "mean_agreement": float | None,
    "sequences": list[str],
}  # fmt: skip


def run(config: DictConfig, runs: Path) -> int:
    """Write a folder in the DAVIS layout with the sequences that are kept, and summary.json."""
    if outside.is_masks(config.method):
        raise ConfigError(f"'{config.method}' has nothing to run: masks are there already")
    network, device = given_network(config), pick_device(config.device)
    if not config.videos:
        raise ConfigError("job=pseudo_label needs videos=/path/to/a/folder/of/clips")
    videos = Path(folder_at(config.videos, "videos"))
    clips = open_unlabelled(videos, Path(folder_at(config.masks, "masks")) if config.masks else None)
    roots = [Path(folder_at(one, "paste")) for one in as_list(plain(config)["paste"] or [])]
    stills = [still for root in roots for still in open_static(root)]
    sam = Network("mobile_sam", {}, full_path(config.proposals)) if config.proposals else None
    if not (stills or sam or any(clip.mask for clip in clips)):
        raise ConfigError(
            f"no clip of {videos} has a first mask: give masks=/path/to/masks, paste=/path/to/static/images or "
            f"proposals=/path/to/mobile_sam.pt"
        )
    settings = {name: config[name] for name in SETTINGS}
    sources = [[fingerprint(root, runs, config.fingerprint) for root in roots], sam.key if sam else None]
    key = content_hash([EVALUATION_VERSION, network.key, settings, sources, str(videos), str(config.masks)])
    stem = re.sub(r"[^\w.-]+", "-", videos.name)[:LONGEST_STEM]
    out = results_folder(config, f"pseudo_label-{stem}-{name_for_files(network.method)}-{key[:8]}")
    with alone(out / ".lock", f"writing to {out}", lambda: _agree(out, key)):
        _agree(out, key)
        if not (out / SUMMARY).exists():
            write_json(out / SUMMARY, {"key": key})
        write_text(out / "config.yaml", OmegaConf.to_yaml(config))
        starts = _Starts(stills, sam, config, runs, device)
        found = _label_all(clips, network, starts, out, key, runs, device, config)
        summary = _summary(found) | {
            "key": key,
            "method": outside.short_name(network.method),
            "weights": network.weights,
            "options": network.options,
            **settings,
            **describe_environment(device),
            "clips": found,
        }
        sequences = [name for one in found.values() for name in one["sequences"]]
        write_text(out / LIST, "".join(f"{name}\n" for name in sequences))
        write_json(out / SUMMARY, summary)
    say(f"{_line(summary)}\nresults: {out}", sys.stdout)
    return 0


class _Starts:
    """The first mask of a clip: its own, or else that of pasted objects, or else SAM's."""

    def __init__(
        self, stills: list[StaticImage], sam: Network | None, config: DictConfig, runs: Path, device: str
    ) -> None:
        self.stills, self.config, self.device = stills, config, device
        self.sam: Any = build(sam, runs, device) if sam else None

    def of(self, clip: Clip) -> Start | None:
        if clip.mask:
            return given(clip)
        start = pasted(clip, self.stills, self.config.seed) if self.stills else None
        if start is None and self.sam is not None:
            start = proposed(clip, self.sam, self.config.objects, self.device)
        return start


def _label_all(
    clips: list[Clip],
    network: Network,
    starts: _Starts,
    out: Path,
    key: str,
    runs: Path,
    device: str,
    config: DictConfig,
) -> dict[str, dict[str, Any]]:
    """{clip: what was kept of it}; those that an earlier command has labelled are not labelled again."""
    found: dict[str, dict[str, Any]] = {}
    method: Any = None
    with track("label", total=sum(len(clip.frames) for clip in clips), unit="frames") as bar:
        for clip in clips:
            stamp = fingerprint(clip.frames[0].parent, runs, config.fingerprint)
            own = content_hash([key, stamp, len(clip.frames), file_hash(str(clip.mask)) if clip.mask else None])
            record = out / "clips" / f"{clip.name}.json"
            known = read_json(record, SHAPE)
            if known is None or known["key"] != own or not _whole(known, out):
                method = method or build(network, runs, device)
                known = {"key": own, **_label_clip(clip, starts.of(clip), method, out, device, config)}
                write_json(record, known)
            found[clip.name] = known
            bar.update(len(clip.frames))
    return found


def _whole(known: dict[str, Any], out: Path) -> bool:
    masks = [len(list((out / "Annotations" / RESOLUTION / name).glob("*.png"))) for name in known["sequences"]]
    return sum(masks) == known["kept"]


def _label_clip(
    clip: Clip, start: Start | None, method: Any, out: Path, device: str, config: DictConfig
) -> dict[str, Any]:
    """Write the sequences that are kept of a clip; what an earlier command left of them goes first."""
    number = 0
    while (out / "Annotations" / RESOLUTION / f"{clip.name}-{number}").exists():
        for kind in ("JPEGImages", "Annotations"):
            shutil.rmtree(out / kind / RESOLUTION / f"{clip.name}-{number}", ignore_errors=True)
        number += 1
    told: dict[str, Any] = {"frames": len(clip.frames), "kept": 0, "objects": 0, "mean_agreement": None}
    if start is None:
        return {**told, "first": None, "sequences": []}
    length, video = len(clip.frames), str(clip.frames[0].parent)
    labels = label(method, start.frame, length, start.mask, config.agreement, config.shortest, device, video)
    for number, run_of_frames in enumerate(labels.runs):
        for t in run_of_frames:
            place = Path(RESOLUTION) / f"{clip.name}-{number}" / clip.frames[t].name
            # the mask first: its folder tells that there is something to remove
            replace_atomically(
                out / "Annotations" / place.with_suffix(".png"), partial(write_mask, mask=labels.masks[t])
            )
            _write_frame(out / "JPEGImages" / place, clip.frames[t], start, t)
    kept = [t for one in labels.runs for t in one]
    told |= {"kept": len(kept), "objects": len(labels.ids), "first": start.how}
    if labels.agreement.size:
        told["mean_agreement"] = float(labels.agreement.mean())
    if start.exact and kept:
        told["mean_iou_exact"] = fmean(
            float(region(labels.masks[t], start.exact(t), labels.ids).mean()) for t in kept
        )
    return {**told, "sequences": [f"{clip.name}-{number}" for number in range(len(labels.runs))]}


def _write_frame(place: Path, source: Path, start: Start, t: int) -> None:
    """A link to the frame, or the frame with what was pasted on it."""
    if start.exact is None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(source.resolve())
        return
    picture = Image.fromarray(start.frame(t))
    replace_atomically(place.with_suffix(".jpg"), lambda path: picture.save(path, quality=QUALITY))


def _agree(out: Path, key: str) -> None:
    """Raise ConfigError where the folder holds labels of another network, other settings or other videos."""
    begun = read_json(out / SUMMARY, {"key": str})
    if begun is not None and begun["key"] != key:
        raise ConfigError(f"{out} holds labels of other videos, weights or settings: choose another output=")


def _summary(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    agreements = [one["mean_agreement"] for one in found.values() if one["mean_agreement"] is not None]
    return {
        "frames": sum(one["frames"] for one in found.values()),
        "kept": sum(one["kept"] for one in found.values()),
        "sequences": sum(len(one["sequences"]) for one in found.values()),
        "mean_agreement": float(np.mean(agreements)) if agreements else None,
        "without_first_mask": sum(one["first"] is None for one in found.values()),
    }


def _line(summary: dict[str, Any]) -> str:
    text = f"{len(summary['clips'])} clips, {summary['frames']} frames: {summary['kept']} kept in "
    text += f"{summary['sequences']} sequences"
    if summary["mean_agreement"] is not None:
        text += f"; mean agreement {summary['mean_agreement']:.2f}"
    if summary["without_first_mask"]:
        text += f"; {summary['without_first_mask']} clips have no first mask"
    return text
