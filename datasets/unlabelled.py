"""Videos without masks, or with that of one frame alone: what a network labels for others to learn from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.folder import list_frames, pair_files, subfolders
from datasets.images import check_size, frame_size, read_frame, read_mask
from datasets.names import checked_name

LAYOUT = "<clip>/*.jpg, or JPEGImages/<resolution>/<clip>/*.jpg"


@dataclass(frozen=True)
class Clip:
    """The frame files of a video in order, from the one that `mask` is of, where there is such a file."""

    name: str
    frames: tuple[Path, ...]
    mask: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        return frame_size(self.frames[0])

    def frame(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB. Raises DataError for one of another size than the first."""
        frame = read_frame(self.frames[index])
        check_size(
            str(self.frames[index]), frame.shape[:2], "the first frame", self.size, "give frames of one size"
        )
        return frame

    def first_mask(self) -> np.ndarray:
        """uint8 (H, W) object ids of frame 0, without void. Raises DataError where there is no object."""
        assert self.mask is not None
        mask = read_mask(self.mask)
        check_size(f"the mask {self.mask}", mask.shape, "its frame", self.size)
        mask = np.where(mask == 255, 0, mask).astype(np.uint8)
        if not mask.any():
            raise DataError(f"the first mask of {self.name} is empty: {self.mask}")
        return mask


def open_unlabelled(root: Path, masks: Path | None = None) -> list[Clip]:
    """The clips below `root`, in order of name: folders of frames, also in the DAVIS layout.

    masks: holds `<clip>/<frame>.png`, of which the first counts, and frames before it are left out; None: what
    there is in `Annotations` of the DAVIS layout. Raises DataError without any clip.
    """
    frames, beside = root, None
    if (root / "JPEGImages").is_dir():
        there = subfolders(root / "JPEGImages")
        chosen = next((folder for folder in there if folder.name == "480p"), there[0] if len(there) == 1 else None)
        if chosen is None:
            raise DataError(
                f"{root / 'JPEGImages'} has neither a 480p folder nor exactly one other: name one of its folders"
            )
        frames, beside = chosen, root / "Annotations" / chosen.name
    masks = masks or beside
    clips = [_clip(folder, masks / folder.name if masks else None) for folder in subfolders(frames)]
    if not clips:
        raise DataError(f"no folder of frames in {frames}; the layout is {LAYOUT}")
    return clips


def _clip(folder: Path, masks: Path | None) -> Clip:
    name = checked_name(folder.name, f"a folder of {folder.parent}")
    if masks is None or not masks.is_dir():
        return Clip(name, tuple(list_frames(name, folder)))
    frames, found = pair_files(name, folder, masks)
    start = next((t for t, mask in enumerate(found) if mask is not None), None)
    return Clip(name, frames) if start is None else Clip(name, frames[start:], found[start])
