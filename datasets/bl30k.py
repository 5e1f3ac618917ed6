"""BL30K (Cheng et al., MiVOS, CVPR 2021): 30 thousand rendered videos to pre-train on."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path

from datasets.errors import DataError
from datasets.folder import pair_files, subfolders
from datasets.sequence import Sequence, VideoSet

LAYOUT = "JPEGImages/<video>/00000.jpg and Annotations/<video>/00000.png, or the same in folders a to f"


@dataclass(frozen=True)
class Files(Items):
    """The files `names` of one folder, made into paths when asked for.

    Nearly ten million paths would fill several GB; the names are the same for all videos and are shared.
    """

    folder: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Files(self.folder, self.names[index])
        return self.folder / self.names[index]


def open_bl30k(root: Path, name: str = "bl30k") -> VideoSet:
    """Open every video below `root`, or below the six segments `root/a` to `root/f`, in order of name.

    The segments may have any names and may have been merged, as the downloads do when they are unpacked
    in one place. Every frame has a mask (palette PNG). Raises DataError when there is no video, a file of
    a pair is missing, or two segments hold a video of one name.
    """
    segments = [s for s in (root, *subfolders(root)) if (s / "JPEGImages").is_dir()]
    sequences: dict[str, Sequence] = {}
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    for segment in segments:
        for folder in subfolders(segment / "JPEGImages"):
            sequence = _open_video(folder, segment / "Annotations" / folder.name, shared)
            other = sequences.setdefault(sequence.name, sequence)
            if other is not sequence:
                places = f"{other.frames[0].parent} and {folder}"
                raise DataError(f"two videos are called {folder.name}: {places}; remove or rename one")
    if not sequences:
        raise DataError(f"no BL30K data at {root}: give the folder that holds {LAYOUT}")
    return VideoSet(name, tuple(sequences[video] for video in sorted(sequences)))


def _open_video(frames: Path, masks: Path, shared: dict[tuple[str, ...], tuple[str, ...]]) -> Sequence:
    images, found = pair_files(frames.name, frames, masks)
    if None in found:
        bare = images[found.index(None)]
        raise DataError(f"the frame {bare} has no mask {masks / bare.stem}.png: fetch the video again")
    names = (tuple(path.name for path in paths if path) for paths in (images, found))
    image_names, mask_names = (shared.setdefault(one, one) for one in names)
    return Sequence(frames.name, Files(frames, image_names), Files(masks, mask_names))
