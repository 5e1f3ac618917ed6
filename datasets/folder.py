"""A plain folder of frames and masks: the simplest way to bring a video of one's own."""

import re
from pathlib import Path

from datasets.errors import DataError
from datasets.files import check_regular, visible
from datasets.names import checked_name
from datasets.sequence import Sequence, VideoSet

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")
LAYOUT = "<root>/frames/*.jpg|png and <root>/masks/*.png, or the same two folders in <root>/<sequence>/"


def open_folder(root: Path, name: str | None = None) -> VideoSet:
    """Open `root/{frames,masks}/` (one video) or `root/<sequence>/{frames,masks}/` (several, by name).

    A mask belongs to the frame with the same stem; only the first frame must have one. The set is
    called `name`, by default after the folder. Raises DataError when the layout is another one, a
    first mask is missing, or a mask has no frame.
    """
    if not root.is_dir():
        raise DataError(f"folder not found: {root}; it should hold {LAYOUT}")
    name = name or root.resolve().name
    if (root / "frames").is_dir():
        videos = [(name, root)]
    else:
        videos = [(f.name, f) for f in sorted(root.iterdir(), key=natural) if (f / "frames").is_dir()]
    if not videos:
        raise DataError(f"no frames/ folder in {root} nor one level below; the layout is {LAYOUT}")
    return VideoSet(name, tuple(read_sequence(n, f / "frames", f / "masks") for n, f in videos))


def read_sequence(name: str, frames: Path, masks: Path, binary: bool = False) -> Sequence:
    """The sequence of the images in the folder `frames` and the PNGs in the folder `masks`.

    Raises DataError as `pair_files` does, and when the first frame has no mask.
    """
    images, found = pair_files(name, frames, masks)
    if found[0] is None:
        lacks = f"sequence {name} has no mask for its first frame {images[0].name}"
        place = masks / f"{images[0].stem}.png"
        raise DataError(f"{lacks}: semi-supervised segmentation starts from it; put it at {place}")
    return Sequence(name, images, found, binary)


def pair_files(name: str, frames: Path, masks: Path) -> tuple[tuple[Path, ...], tuple[Path | None, ...]]:
    """The images in the folder `frames`, and for each the PNG of its stem in the folder `masks`, if there is one.

    Images are ordered by name with numbers counted as numbers (`2.jpg` before `10.jpg`). Raises
    DataError when a folder is missing or empty of frames, or a mask or a stem has not exactly one frame.
    """
    for folder, holds in ((frames, "frames"), (masks, "masks")):
        if not folder.is_dir():
            raise DataError(f"sequence {name} has no folder {folder}; put its {holds} there")
    images = list_frames(name, frames)
    lonely = {mask.stem: mask for mask in visible_files(masks, (".png",))}
    paired = tuple(lonely.pop(image.stem, None) for image in images)
    for mask in lonely.values():
        raise DataError(f"the mask {mask} has no frame of the same name in {frames}: add the frame or remove it")
    return tuple(images), paired


def list_frames(name: str, folder: Path) -> list[Path]:
    """The images in the folder, in natural order; DataError when there is none or two have the same stem."""
    images = visible_files(folder, FRAME_SUFFIXES)
    if not images:
        raise DataError(f"sequence {name} has no frames: no {', '.join(FRAME_SUFFIXES)} file in {folder}")
    by_stem = {image.stem: image for image in images}
    if len(by_stem) < len(images):
        twice = next(image for image in images if by_stem[image.stem] != image)
        raise DataError(f"two frames of sequence {name} are called {twice.stem} in {folder}: remove one")
    return images


def subfolders(parent: Path) -> list[Path]:
    """The folders in a folder, without hidden ones, in order of name."""
    return [path for entry in visible(parent) if (path := Path(entry.path)).is_dir()] if parent.is_dir() else []


def visible_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of `folder` with one of these suffixes, in natural order, without hidden ones.

    Raises DataError for one that is no regular file or whose name is not fit for other files.
    """
    files, what = [], f"a file in {folder}"
    for entry in visible(folder):
        if entry.name.lower().endswith(suffixes):
            path = folder / checked_name(entry.name, what)
            if not entry.is_file(follow_symlinks=False):
                check_regular(path, "file")
            files.append(path)
    return sorted(files, key=natural)


def natural(path: Path) -> tuple:
    """Sort key in which numbers count as numbers; the name itself breaks ties (`1.jpg`, `01.jpg`)."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name
