"""Static images with object masks, the raw material of synthetic clips; and photos without."""

import csv
import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.files import files_below, read_text
from datasets.folder import FRAME_SUFFIXES
from datasets.images import check_size, read_frame, read_mask
from datasets.names import checked_name
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
    rows = csv.DictReader(StringIO(read_text(index, "list of images"), newline=""))
    try:
        if "id" not in (rows.fieldnames or ()):
            raise DataError(f"{index} has no column id; it should hold <set>/<id> of each image")
        ids = [row["id"] or "" for row in rows]
    except csv.Error as error:
        raise DataError(f"cannot read {index} in line {rows.line_num}: {error}; correct it") from None
    for part in (part for one in ids for part in one.split("/")):
        checked_name(part, f"a part of an id in {index}")
    return ids


def _named_files(root: Path, suffixes: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Files below a folder with one of these suffixes, without hidden ones, by their relative paths' stems."""
    files = (name for name, _ in files_below(root) if name.lower().endswith(suffixes))  # sets are often linked
    return sorted((os.path.splitext(name)[0], root / name) for name in files)


def _find(folder: Path, name: str, suffixes: tuple[str, ...], what: str) -> Path:
    found = next((path for suffix in suffixes if (path := folder / f"{name}{suffix}").is_file()), None)
    if found is None:
        raise DataError(f"{what} not found: {folder / name}{suffixes[0]}; add it, or take {name} out")
    return found
