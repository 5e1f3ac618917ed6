"""The layout of DAVIS 2016 and 2017 (Perazzi et al. 2016; Pont-Tuset et al. 2017)."""

from pathlib import Path

from datasets.errors import DataError
from datasets.files import read_text
from datasets.folder import read_sequence, subfolders
from datasets.names import checked_name
from datasets.sequence import VideoSet

LAYOUT = "JPEGImages/<resolution>/<sequence>/, Annotations/<resolution>/<sequence>/ and ImageSets/<year>/"


def open_davis(
    root: Path, year: int, split: str = "val", resolution: str | None = None, name: str | None = None
) -> VideoSet:
    """Open the sequences that `ImageSets/<year>/<split>.txt` lists, in its order.

    `year` 2016 merges the objects of a sequence into one; every other year keeps them apart. The
    original DAVIS 2016 download has no `ImageSets/2016`: its `ImageSets/<resolution>/<split>.txt`, one
    line per frame, is read instead. `resolution` is the folder below `JPEGImages`: None takes `480p`,
    or the only one there. Frames without an annotation have the mask None. The set is called `name`,
    by default `davis<year>-<split>`. Raises DataError when something is missing.
    """
    if not (root / "JPEGImages").is_dir():
        raise DataError(f"no DAVIS data at {root}: give the folder that holds {LAYOUT}")
    there = [folder.name for folder in subfolders(root / "JPEGImages")]
    named = ", ".join(there) or "none"
    if resolution is None and "480p" not in there and len(there) != 1:
        found = f"{root / 'JPEGImages'} has neither a 480p folder nor exactly one other ({named})"
        raise DataError(f"{found}: set the resolution to one of them")
    resolution = resolution or ("480p" if "480p" in there else there[0])
    frames, masks = root / "JPEGImages" / resolution, root / "Annotations" / resolution
    if not frames.is_dir():
        raise DataError(f"no folder {frames}; resolutions there: {named}")
    listed = _listed(root, year, split, resolution)
    sequences = [read_sequence(s, frames / s, masks / s, binary=year == 2016) for s in listed]
    return VideoSet(name or f"davis{year}-{split}", tuple(sequences))


def _listed(root: Path, year: int, split: str, resolution: str) -> list[str]:
    image_sets = root / "ImageSets"
    path = image_sets / str(year) / f"{split}.txt"
    if year == 2016 and not path.parent.is_dir():
        original = image_sets / resolution / f"{split}.txt"
        path = original if original.is_file() else path
    if not path.is_file():
        there = sorted(str(p.relative_to(image_sets)) for p in image_sets.glob("*/*.txt"))
        lists = f"no list of sequences {path}; lists in {image_sets}: {', '.join(there) or 'none'}"
        raise DataError(f"{lists}. Choose the year and split of one of them, or add the list")
    first_words = (line.split()[0] for line in read_text(path, "list of sequences").splitlines() if line.strip())
    # A line is a sequence's name, or "/JPEGImages/480p/<sequence>/00000.jpg /Annotations/...".
    names = dict.fromkeys(Path(word).parent.name if "/" in word else word for word in first_words)
    if not names:
        raise DataError(f"the list of sequences {path} is empty: write one name per line")
    return [checked_name(name, f"a sequence listed in {path}") for name in names]
