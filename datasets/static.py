"""Static images with object masks, the raw material of synthetic clips; and photos without."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.folder import FRAME_SUFFIXES
from datasets.images import check_size, read_frame, read_mask
from datasets.sequence import VideoSet

LAYOUT = "JPEGImages/<set>/<id>.jpg and Annotations/<set>/<id>.png"


@dataclass(frozen=True)
class StaticImage:
    """One image file and the file of its mask, None where there is none; `name` is `<set>/<id>`."""

    name: str
    image: Path
    mask: Path | None

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (H, W, 3) RGB and uint8 (H, W) object ids, 0 without a mask. DataError when their sizes differ."""
        image = read_frame(self.image)
        mask = np.zeros(image.shape[:2], np.uint8) if self.mask is None else read_mask(self.mask)
        check_size(f"the mask {self.mask}", mask.shape, "its image", image.shape[:2])
        return image, mask


def open_static(root: Path) -> list[StaticImage]:
    """List the static images below `root`: `JPEGImages/<set>/<id>.jpg`, `Annotations/<set>/<id>.png`.

    With an `index.csv`, the images are those of its column `id` (`<set>/<id>`), in its order; without
    one, every mask and the image of the same relative stem, in order of name (images without a mask
    are left out; links to folders are followed). Raises DataError when a file of a pair is missing.
    """
    images, masks, index = root / "JPEGImages", root / "Annotations", root / "index.csv"
    if not (images.is_dir() and masks.is_dir()):
        raise DataError(f"no still images at {root}: give the folder that holds {LAYOUT}")
    listed = index if index.is_file() else masks
    names = _index_names(index) if listed is index else [name for name, _ in _named_files(masks, (".png",))]
    if not names:
        raise DataError(f"no still images at {root}: {listed} lists none")
    return [
        StaticImage(name, _find(images, name, FRAME_SUFFIXES, "image"), _find(masks, name, (".png",), "mask"))
        for name in names
    ]


def open_photos(root: Path) -> list[StaticImage]:
    """All images below `root`, in order of name, without masks (as SA-1B's). Raises DataError without any."""
    found = [StaticImage(name, path, None) for name, path in _named_files(root, FRAME_SUFFIXES)]
    if not found:
        raise DataError(f"no photos at {root}: no {', '.join(FRAME_SUFFIXES)} file in it or below")
    return found


def frames_of(videos: VideoSet) -> list[StaticImage]:
    """The annotated frames of all sequences, each an image named `<sequence>/<frame>`."""
    annotated = ((video, t) for video in videos.sequences for t in video.annotated)
    return [StaticImage(f"{v.name}/{v.frames[t].stem}", v.frames[t], v.masks[t]) for v, t in annotated]


def _index_names(index: Path) -> list[str]:
    with index.open(newline="") as file:
        rows = csv.DictReader(file)
        if "id" not in (rows.fieldnames or ()):
            raise DataError(f"{index} has no column id; it should hold <set>/<id> of each image")
        return [row["id"] for row in rows]


def _named_files(root: Path, suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Files below a folder with one of these suffixes, without hidden ones, by their relative paths' stems."""
    files = [
        Path(folder, file)
        for folder, _, inside in os.walk(root, followlinks=True)  # sets are often linked from elsewhere
        for file in inside
        if file.lower().endswith(suffixes) and not file.startswith(".")
    ]
    return sorted((path.relative_to(root).with_suffix("").as_posix(), path) for path in files)


def _find(folder: Path, name: str, suffixes: tuple[str, ...], what: str) -> Path:
    found = next((path for suffix in suffixes if (path := folder / f"{name}{suffix}").is_file()), None)
    if found is None:
        raise DataError(f"{what} not found: {folder / name}{suffixes[0]}; add it, or take {name} out")
    return found
