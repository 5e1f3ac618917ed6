"""Still images with object masks, the raw material of synthetic clips; and photos without."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.folder import FRAME_SUFFIXES
from datasets.images import read_frame, read_mask
from datasets.sequence import VideoSet

LAYOUT = "JPEGImages/<set>/<id>.jpg and Annotations/<set>/<id>.png"


@dataclass(frozen=True)
class StillImage:
    """One image file and the file of its mask, None where there is none; `name` is `<set>/<id>`."""

    name: str
    image: Path
    mask: Path | None

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (H, W, 3) RGB and uint8 (H, W) object ids, 0 without a mask. DataError when their sizes differ."""
        image = read_frame(self.image)
        mask = np.zeros(image.shape[:2], np.uint8) if self.mask is None else read_mask(self.mask)
        if mask.shape != image.shape[:2]:
            raise DataError(
                f"the mask {self.mask} is {mask.shape[0]}x{mask.shape[1]} but its image is "
                f"{image.shape[0]}x{image.shape[1]} (height x width): resize one to match the other"
            )
        return image, mask


def open_static(root: Path) -> list[StillImage]:
    """List the still images below `root`: `JPEGImages/<set>/<id>.jpg`, `Annotations/<set>/<id>.png`.

    With an `index.csv`, the images are those of its column `id` (`<set>/<id>`), in its order; without
    one, every mask and the image of the same relative stem, in order of name (images without a mask
    are left out; links to folders are followed). Raises DataError when a file of a pair is missing.
    """
    root = Path(root)
    images, masks, index = root / "JPEGImages", root / "Annotations", root / "index.csv"
    if not (images.is_dir() and masks.is_dir()):
        raise DataError(f"no still images at {root}: give the folder that holds {LAYOUT}")
    if index.is_file():
        names = _index_names(index)
    else:
        names = _mask_names(masks)
    if not names:
        raise DataError(f"no still images at {root}: {index if index.is_file() else masks} lists none")
    return [StillImage(name, _image(images, name), _mask(masks, name)) for name in names]


def open_photos(root: Path) -> list[StillImage]:
    """All images below `root`, in order of name, without masks (as SA-1B's). Raises DataError without any."""
    root = Path(root)
    found = [
        StillImage(path.relative_to(root).with_suffix("").as_posix(), path, None)
        for path in _files(root, FRAME_SUFFIXES)
    ]
    if not found:
        raise DataError(f"no photos at {root}: no {', '.join(FRAME_SUFFIXES)} file in it or below")
    return sorted(found, key=lambda photo: photo.name)


def frames_of(videos: VideoSet) -> list[StillImage]:
    """The annotated frames of all sequences, each an image named `<sequence>/<frame>`."""
    return [
        StillImage(f"{video.name}/{video.frames[t].stem}", video.frames[t], video.masks[t])
        for video in videos.sequences
        for t in video.annotated
    ]


def _index_names(index: Path) -> list[str]:
    with index.open(newline="") as file:
        rows = csv.DictReader(file)
        if "id" not in (rows.fieldnames or ()):
            raise DataError(f"{index} has no column id; it should hold <set>/<id> of each image")
        return [row["id"] for row in rows]


def _mask_names(masks: Path) -> list[str]:
    return sorted(path.relative_to(masks).with_suffix("").as_posix() for path in _files(masks, (".png",)))


def _files(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files below a folder with one of these suffixes, without hidden ones."""
    return [
        Path(folder, file)
        for folder, _, inside in os.walk(root, followlinks=True)  # sets are often linked from elsewhere
        for file in inside
        if file.lower().endswith(suffixes) and not file.startswith(".")
    ]


def _image(images: Path, name: str) -> Path:
    for suffix in FRAME_SUFFIXES:
        path = images / f"{name}{suffix}"
        if path.is_file():
            return path
    raise DataError(f"image not found: {images / name}.jpg, though {name} has a mask or stands in the index")


def _mask(masks: Path, name: str) -> Path:
    path = masks / f"{name}.png"
    if not path.is_file():
        raise DataError(f"mask not found: {path}; add it or take {name} out of the index")
    return path
