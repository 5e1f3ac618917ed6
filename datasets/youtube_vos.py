"""YouTube-VOS 2018 and 2019 (Xu et al., ECCV 2018): objects that appear late, seen and unseen classes."""

import json
import os
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from datasets.errors import DataError
from datasets.files import read_text
from datasets.folder import pair_files
from datasets.names import checked_name
from datasets.sequence import Sequence, VideoSet
from datasets.split import hold_out, name_hash, name_parts

LAYOUT = "<split>/meta.json, <split>/JPEGImages/<video>/00000.jpg and <split>/Annotations/<video>/00000.png"
# What reading JSON of another shape raises, or of lists in lists without end
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
STRIDE = 5  # every fifth frame of a 30 fps video is annotated


@dataclass(frozen=True)
class Listed:
    """What meta.json says of one object: its class, or None, and the stems of its frames, increasing."""

    category: str | None
    frames: tuple[str, ...]


def open_youtube_vos(
    root: Path,
    split: str = "train",
    all_frames: bool = False,
    name: str | None = None,
    judged: float = 0.1,
    unseen: float = 0.1,
) -> VideoSet:
    """Open the videos that `<root>/<split>/meta.json` lists, in order of name.

    `split` is `train` (every frame there has a mask), `valid` (an object has one mask, that of the frame where
    it appears), or a part of `train`: `held_out`, as `split_held_out` chooses it by the shares `judged` of the
    videos and `unseen` of the classes, or the `rest`. A video begins where its first object appears.
    `all_frames` takes the frames of `<split>_all_frames`, in `root` or in `root/all_frames`: those in between
    are segmented, too, but have no mask and are not exported. The set is called `name`, by default
    `youtube_vos-<split>`. Raises DataError when a file or folder is missing, meta.json is not as it should be,
    or nothing is held out.
    """
    part, split = split, _downloaded(split)
    meta = _read_meta(root, split)
    frames = split_folders(root, split, all_frames)[-1] / "JPEGImages"
    masks = root / split / "Annotations"
    sequences = [_open_video(v, objects, frames / v, masks / v) for v, objects in sorted(meta.items())]
    videos = VideoSet(name or f"youtube_vos-{split}", tuple(sequences))
    if part == split or (part == "rest" and judged == unseen == 0):
        return videos
    found = split_held_out(videos, judged, unseen)[part == "held_out"]
    if not found.sequences:
        raise DataError("judged=0 and unseen=0 hold no video out to evaluate on: raise one")
    return found


def split_folders(root: Path, split: str = "train", all_frames: bool = False) -> list[Path]:
    """The folders that `open_youtube_vos` reads: that of the split and, if wanted, that of all frames.

    Raises DataError when the second does not exist.
    """
    split = _downloaded(split)
    places = [root / f"{split}_all_frames", root / "all_frames" / f"{split}_all_frames"]
    found = [place for place in places if (place / "JPEGImages").is_dir()]
    if all_frames and not found:
        raise DataError(f"no folder {places[0] / 'JPEGImages'}: fetch all frames of {split} or do without them")
    return [root / split, *found[:1]] if all_frames else [root / split]


def shares_held_out(split: str, judged: float, unseen: float) -> dict[str, float]:
    """{share: least value} that keeps the videos of a split out of training; 1 where no share can."""
    return {"train": {"judged": 1.0}, "held_out": {"judged": judged, "unseen": unseen}}.get(split, {})


def split_held_out(
    video_set: VideoSet, fraction: float = 0.1, unseen_fraction: float = 0.1, seed: int = 0
) -> tuple[VideoSet, VideoSet]:
    """Split the training videos into (`<name>-train`, `<name>-held-out`) to score on seen and unseen classes.

    The masks of the validation set are not public, so this stands in for it. `unseen_fraction` of the
    classes (one or more, if above 0) become `unseen` of the held-out set, which gets every video that
    shows one of them; they are drawn by the hash of their names from those in no more videos than
    the median class, as a common one (person) would take too many videos along. Of the other videos
    `hold_out` takes `fraction`. Raises DataError when a class is not known or nothing is left to train on.
    """
    for sequence in video_set.sequences:
        if set(sequence.categories) != set(sequence.object_ids):
            unknown = f"a class of sequence {sequence.name} of {video_set.name} is not known"
            raise DataError(f"{unknown}: its meta.json should give the category of each object")
    unseen = _choose_unseen(video_set, unseen_fraction, seed)
    others = [s for s in video_set.sequences if unseen.isdisjoint(s.categories.values())]
    train, _ = hold_out(others, fraction, seed)
    if not train:
        raise DataError(f"no video of {video_set.name} is without an unseen class ({', '.join(sorted(unseen))})")
    kept = {s.name for s in train}
    parts = name_parts(video_set, train, [s for s in video_set.sequences if s.name not in kept])
    return parts[0], replace(parts[1], unseen=unseen)


def export_submission(root: Path, masks: Path, zip_path: Path, split: str = "valid") -> int:
    """Zip `masks/<video>/<frame>.png` as the server wants it and return the number of masks.

    The zip holds `Annotations/<video>/<frame>.png`, byte for byte, so they must be palette PNGs with the ids of
    meta.json, for the frames that the server evaluates and no others: all that meta.json lists, every fifth from
    the first object on, as in the public code of STCN and AOT. The same masks give the same zip; it replaces
    `zip_path` only when it is complete. Raises DataError when a mask is missing.
    """
    files = {
        f"Annotations/{video}/{stem}.png": masks / video / f"{stem}.png"
        for video, objects in sorted(_read_meta(root, split).items())
        for stem in sorted({stem for listed in objects.values() for stem in listed.frames})
    }
    missing = [file for file in files.values() if not file.is_file()]
    if missing:
        lacks = f"the submission lacks {missing[0]} ({len(missing)} of {len(files)} masks)"
        raise DataError(f"{lacks}: segment all videos of {split} first")
    zip_path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = zip_path.with_name(f".{zip_path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(unfinished, "w") as archive:
            for inside, file in files.items():
                entry = zipfile.ZipInfo(inside)  # of 1980 and stored: a PNG does not get smaller
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())
        unfinished.replace(zip_path)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(files)


def _open_video(name: str, objects: dict[int, Listed], frames: Path, masks: Path) -> Sequence:
    images, found = pair_files(name, frames, masks)
    place = {image.stem: index for index, image in enumerate(images)}
    for object_id, listed in objects.items():
        stem = listed.frames[0]
        if stem not in place or found[place[stem]] is None:
            mask = f"whose mask is missing: put it at {masks / stem}.png"
            lacks = mask if stem in place else f"which is not in {frames}: fetch it"
            raise DataError(f"object {object_id} of video {name} appears in frame {stem}, {lacks}")
    starts = {object_id: place[listed.frames[0]] for object_id, listed in objects.items()}
    first = min(starts.values())
    return Sequence(
        name,
        images[first:],
        found[first:],
        appears={object_id: start - first for object_id, start in starts.items()},
        categories={object_id: o.category for object_id, o in objects.items() if o.category is not None},
        stride=STRIDE,
    )


def _downloaded(split: str) -> str:
    """The split of the download that a split is, or is a part of."""
    return "train" if split in ("held_out", "rest") else split


def _read_meta(root: Path, split: str) -> dict[str, dict[int, Listed]]:
    path = root / split / "meta.json"
    if not path.is_file():
        raise DataError(f"no YouTube-VOS data at {root}: {path} not found; the folder should hold {LAYOUT}")
    text = read_text(path, "list of videos")
    try:
        videos = json.loads(text)["videos"].items()
    except MALFORMED as error:
        raise DataError(f'cannot read {path}: no {{"videos": ...}} in JSON ({error!r}); fetch it again') from None
    meta: dict[str, dict[int, Listed]] = {}
    for video, entry in videos:
        checked_name(video, f"a video in {path}")
        try:
            objects = entry["objects"].items()
            meta[video] = {int(i): Listed(one.get("category"), tuple(sorted(one["frames"]))) for i, one in objects}
        except MALFORMED:
            meta[video] = {}
        if not meta[video] or not all(listed.frames for listed in meta[video].values()):
            shape = '{"objects": {"1": {"category": "cat", "frames": ["00000", ...]}}}'
            raise DataError(f"{path}: video {video} should have {shape} with an object or more; fetch it again")
        for object_id, listed in meta[video].items():
            what = f"of object {object_id} of video {video} in {path}"
            if listed.category is not None:
                checked_name(listed.category, f"the class {what}")
            for frame in listed.frames:
                checked_name(frame, f"a frame {what}")
    if not meta:
        raise DataError(f"{path} lists no video: fetch it again")
    return meta


def _choose_unseen(video_set: VideoSet, fraction: float, seed: int) -> frozenset[str]:
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction of unseen classes is {fraction}; it must be at least 0 and less than 1")
    videos = Counter(category for s in video_set.sequences for category in set(s.categories.values()))
    if fraction == 0 or len(videos) < 2:
        return frozenset()
    rare = [category for category, count in videos.items() if count <= median(videos.values())]
    ranked = sorted(rare, key=lambda category: name_hash(category, seed))
    return frozenset(ranked[: max(1, round(fraction * len(videos)))])
