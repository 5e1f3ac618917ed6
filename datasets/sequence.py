"""A video with masks, read lazily from files: what every evaluation set is made of."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.images import MAX_OBJECT_ID, check_size, frame_size, read_frame, read_mask
from datasets.names import checked_name


@dataclass(frozen=True)
class Sequence:
    """One video: frame files in order and, beside each, its mask file or None.

    `binary` merges all objects into one, as DAVIS 2016 does. The first frame always has a mask.
    `appears` takes an object id to the index of the frame whose mask gives it, the least of them 0
    (YouTube-VOS); None: frame 0 gives every object of its mask. `categories` takes an object id to its
    class and is empty when classes are not known. `stride` is the distance between annotated frames in
    frames of the original video (YouTube-VOS: 5). Names of sequence, frames and classes are single parts of paths.
    """

    name: str
    frames: Items[Path]
    masks: Items[Path | None]
    binary: bool = False
    appears: Mapping[int, int] | None = None
    categories: Mapping[int, str] = field(default_factory=dict)
    stride: int = 1

    def __post_init__(self) -> None:
        checked_name(self.name, f"a sequence of {self.frames[0].parent if self.frames else 'no frames'}")
        if not self.frames:
            raise DataError(f"sequence {self.name} has no frames")
        if len(self.masks) != len(self.frames):
            counts = f"sequence {self.name} has {len(self.frames)} frames but {len(self.masks)} masks"
            raise DataError(f"{counts}: give one mask or None per frame")
        if self.masks[0] is None:
            lacks = f"sequence {self.name} has no mask for its first frame {self.frames[0].name}"
            raise DataError(f"{lacks}: semi-supervised segmentation starts from it")
        what = f"a frame of sequence {self.name}"
        for name in getattr(self.frames, "names", None) or [frame.name for frame in self.frames]:
            checked_name(name, what)
        for category in self.categories.values():
            checked_name(category, f"a class of sequence {self.name}")
        for object_id, index in (self.appears or {}).items():
            if not 0 < object_id <= MAX_OBJECT_ID:
                raise DataError(f"object {object_id} of sequence {self.name}: ids are 1 to {MAX_OBJECT_ID}")
            if not 0 <= index < len(self.masks) or self.masks[index] is None:
                late = f"object {object_id} of sequence {self.name}"
                raise DataError(f"{late} should appear in frame {index}, which has no mask")
        if self.appears is not None and 0 not in self.appears.values():
            raise DataError(f"no object of sequence {self.name} appears in its first frame {self.frames[0]}")

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3) RGB."""
        return read_frame(self.frames[index])

    def mask(self, index: int) -> np.ndarray | None:
        """As `annotation`, or None where the frame is not annotated."""
        return None if self.masks[index] is None else self.annotation(index)

    def annotation(self, index: int) -> np.ndarray:
        """uint8 (H, W) object ids of an annotated frame. Raises DataError when it is not as large as the frame."""
        path = self.mask_file(index)
        mask = read_mask(path, self.binary)
        check_size(f"the mask {path}", mask.shape, "its frame", frame_size(self.frames[index]))
        return mask

    def mask_file(self, index: int) -> Path:
        """The file of the mask of a frame of `annotated`."""
        path = self.masks[index]
        assert path is not None, f"frame {index} of {self.name} is not annotated"
        return path

    @cached_property
    def annotated(self) -> tuple[int, ...]:
        """Indices of the frames that have a mask, increasing."""
        return tuple(t for t, path in enumerate(self.masks) if path is not None)

    @cached_property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of all objects, also of those that appear late, increasing; 255 (void) is no object.

        Raises DataError when the first mask, which gives them if `appears` is None, holds none.
        """
        if self.appears is not None:
            return tuple(sorted(self.appears))
        ids = _ids(self.annotation(0))
        if not ids:
            raise DataError(f"the first mask of sequence {self.name} is empty: {self.masks[0]}")
        return ids

    @cached_property
    def given(self) -> dict[int, tuple[int, ...]]:
        """Frame index -> ids that its mask gives, both increasing; `{0: object_ids}` if none appears late."""
        starts = dict.fromkeys(self.object_ids, 0) if self.appears is None else self.appears
        return {t: tuple(i for i in self.object_ids if starts[i] == t) for t in sorted(set(starts.values()))}

    @property
    def has_truth(self) -> bool:
        """Whether there is a mask beside those that give objects; such a mask need not show the others."""
        return not set(self.annotated) <= set(self.given)

    def given_mask(self, index: int) -> np.ndarray:
        """uint8 (H, W): the mask of a frame of `given` with only the ids given there.

        Elsewhere it is 0 and says nothing of the objects that are already followed. Raises DataError
        when the mask does not hold one of the ids.
        """
        mask, ids = self.annotation(index), self.given[index]
        absent = sorted(set(ids) - set(_ids(mask)))
        if absent:
            due = f"object {absent[0]} of sequence {self.name} should appear in {self.masks[index]}"
            advice = "fetch the mask again or correct the list of objects"
            raise DataError(f"{due}, but that mask does not hold it: {advice}")
        return np.where(np.isin(mask, ids), mask, 0).astype(np.uint8)


def _ids(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unique(mask) if i not in (0, 255))


@dataclass(frozen=True)
class VideoSet:
    """A named list of sequences, e.g. `davis2016` val.

    `unseen` holds the classes that the training data does not (YouTube-VOS scores them apart).
    """

    name: str
    sequences: tuple[Sequence, ...]
    unseen: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        names = Counter(sequence.name for sequence in self.sequences)
        if twice := [name for name, count in names.items() if count > 1]:
            raise DataError(f"two sequences of {self.name} are called {twice[0]}: rename one")

    def __len__(self) -> int:
        return len(self.sequences)
