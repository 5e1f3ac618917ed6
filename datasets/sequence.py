"""A video with masks, read lazily from files: what every evaluation set is made of."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.images import frame_size, read_frame, read_mask


@dataclass(frozen=True)
class Sequence:
    """One video: frame files in order and, beside each, its mask file or None.

    `binary` merges all objects into one, as DAVIS 2016 does. The first frame always has a mask.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    binary: bool = False

    def __post_init__(self) -> None:
        if not self.frames:
            raise DataError(f"sequence {self.name} has no frames")
        if self.masks and len(self.masks) != len(self.frames):
            raise DataError(
                f"sequence {self.name} has {len(self.frames)} frames but {len(self.masks)} masks: "
                f"give one mask or None per frame"
            )
        if not self.masks or self.masks[0] is None:
            raise DataError(
                f"sequence {self.name} has no mask for its first frame {self.frames[0].name}: "
                f"semi-supervised segmentation starts from it"
            )

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB."""
        return read_frame(self.frames[index])

    def mask(self, index: int) -> np.ndarray | None:
        """uint8 (H, W) object ids, or None where the frame is not annotated.

        Raises DataError when the mask's size is not its frame's.
        """
        path = self.masks[index]
        if path is None:
            return None
        mask = read_mask(path, self.binary)
        size = frame_size(self.frames[index])
        if mask.shape != size:
            raise DataError(
                f"the mask {path} is {mask.shape[0]}x{mask.shape[1]} but its frame is {size[0]}x{size[1]} "
                f"(height x width): resize one to match the other"
            )
        return mask

    @cached_property
    def object_ids(self) -> tuple[int, ...]:
        """Ids in the first mask, increasing; 255 (void) is no object. Raises DataError if there is none."""
        ids = tuple(int(i) for i in np.unique(self.mask(0)) if i not in (0, 255))
        if not ids:
            raise DataError(f"the first mask of sequence {self.name} is empty: {self.masks[0]}")
        return ids


@dataclass(frozen=True)
class VideoSet:
    """A named list of sequences, e.g. `davis2016` val."""

    name: str
    sequences: tuple[Sequence, ...]

    def __len__(self) -> int:
        return len(self.sequences)
