"""The embedded set as files: made once, in the DAVIS layout, by several processes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from datasets.embedded.motion import Stage
from datasets.embedded.render import render, render_mask
from datasets.embedded.scene import Scene, draw_scene, paint_scene
from datasets.errors import DataError
from datasets.images import write_mask

VERSION = 2  # raise it whenever a change here changes a byte of the set
Progress = Callable[[Iterator[str], int], Iterable[str]]
SPLITS = ("train", "val")  # a split's place is part of its seeds: append only
JPEG_QUALITY = 92
SMALLEST = 48  # px along a side; below, the objects are specks
LONGEST = 3  # times the shorter side; beyond, the objects do not fit across
# Every object shows at least this much of the first frame, in thousandths: 414 px of 144x96.
FIRST_VISIBLE = 30


@dataclass(frozen=True)
class EmbeddedSpec:
    """What is in the set: everything that changes its bytes, besides VERSION.

    Sizes in px, lengths in frames. Raises DataError when a number is out of range.
    """

    seed: int = 0
    train_sequences: int = 160
    train_frames: int = 12
    val_sequences: int = 16
    val_frames: int = 30
    height: int = 96
    width: int = 144

    def __post_init__(self) -> None:
        least = {"seed": 0, "height": SMALLEST, "width": SMALLEST}
        for name, value in asdict(self).items():
            if value < least.get(name, 1):
                raise DataError(f"embedded set: {name} is {value}; it must be at least {least.get(name, 1)}")
        if max(self.height, self.width) > LONGEST * min(self.height, self.width):
            narrow = f"frames of {self.height}x{self.width} (height x width) are too narrow"
            raise DataError(f"embedded set: {narrow}; one side may be at most {LONGEST} times the other")

    def sequences(self) -> dict[str, tuple[str, int]]:
        """The name of every sequence -> (split, number)."""
        all_numbers = ((split, k) for split in SPLITS for k in range(getattr(self, f"{split}_sequences")))
        return {f"{split}-{number:03d}": (split, number) for split, number in all_numbers}

    def stage(self, split: str) -> Stage:
        return Stage(self.height, self.width, getattr(self, f"{split}_frames"))


def generate(root: Path, seed: int = 0, sequences: int = 160, progress: Progress | None = None) -> Path:
    """As `ensure_embedded`: the set of a seed, with so many training sequences."""
    return ensure_embedded(root, EmbeddedSpec(seed=seed, train_sequences=sequences), progress=progress)


def ensure_embedded(
    root: Path, spec: EmbeddedSpec | None = None, workers: int | None = None, progress: Progress | None = None
) -> Path:
    """The folder of the embedded set under `root`, generated first when it is absent.

    The folder is `root/embedded-<hash of spec and VERSION>` in the DAVIS layout. It appears whole or
    not at all, whatever is killed and however many processes ask at once. `workers` processes
    (default: one per processor) share the work; their number does not change a byte. progress: hands on the names
    of the sequences, so many, as they are done, and shows how far it is.
    Raises DataError when the set cannot be written.
    """
    spec, workers = spec or EmbeddedSpec(), workers if workers is not None else os.cpu_count() or 1
    if workers < 1:
        raise DataError(f"embedded set: workers is {workers}; it must be at least 1")
    identity = json.dumps({"version": VERSION, **asdict(spec)}, sort_keys=True)
    name = f"embedded-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    folder = Path(root).absolute() / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{name}.lock")):
            if not folder.is_dir():
                for stale in folder.parent.glob(f".{name}.partial-*"):
                    shutil.rmtree(stale, ignore_errors=True)
                partial = folder.with_name(f".{name}.partial-{os.getpid()}")
                try:
                    _generate(partial, spec, workers, progress)
                    partial.rename(folder)
                finally:
                    shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        advice = "choose a folder that is writable and has room"
        raise DataError(f"cannot generate the embedded set in {root}: {error}; {advice}") from error
    return folder


def write_sequences(folder: Path, spec: EmbeddedSpec, part: int, parts: int) -> Iterator[str]:
    """Write every `parts`-th sequence of the set from number `part`; yields each name when it is done."""
    for name, (split, number) in list(spec.sequences().items())[part::parts]:
        stage = spec.stage(split)
        scene, rng = _draw_visible_scene(stage, (spec.seed, SPLITS.index(split)), number)
        frames, masks = folder / "JPEGImages/480p" / name, folder / "Annotations/480p" / name
        frames.mkdir(parents=True)
        for index in range(stage.frames):
            frame, mask = render(scene, stage, index, rng)
            Image.fromarray(frame).save(frames / f"{index:05d}.jpg", quality=JPEG_QUALITY, subsampling=0)
            write_mask(masks / f"{index:05d}.png", mask)
        yield name


def _draw_visible_scene(stage: Stage, seed: tuple[int, int], number: int) -> tuple[Scene, np.random.Generator]:
    """The first scene whose objects all show in the first frame, and the generator for its noise."""
    least = stage.height * stage.width * FIRST_VISIBLE // 1000
    attempt = 0
    while True:
        rng = np.random.Generator(np.random.PCG64([*seed, number, attempt]))
        scene = draw_scene(rng, stage, number)
        visible = np.bincount(render_mask(scene, stage, 0).ravel(), minlength=scene.objects + 1)
        if visible[1:].min() >= least:
            return paint_scene(rng, scene), rng
        attempt += 1


def _generate(folder: Path, spec: EmbeddedSpec, workers: int, progress: Progress | None) -> None:
    for split in SPLITS:
        names = [name for name, (of, _) in spec.sequences().items() if of == split]
        listing = folder / "ImageSets/2017" / f"{split}.txt"
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("\n".join(names) + "\n", encoding="utf-8")
    total = len(spec.sequences())
    workers = min(workers, total)
    done = write_sequences(folder, spec, 0, 1) if workers == 1 else _in_processes(folder, spec, workers)
    for _ in done if progress is None else progress(done, total):
        pass


def _in_processes(folder: Path, spec: EmbeddedSpec, workers: int) -> Iterator[str]:
    """write_sequences, shared among `workers` processes that report over one pipe.

    Plain subprocesses rather than multiprocessing: forking a process in which torch has started its
    threads may hang, and spawning runs the caller's script again unless it is guarded. When this
    process is killed, the workers die of the broken pipe.
    """
    read_end, write_end = os.pipe()
    package_root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "datasets.embedded", str(folder), json.dumps(asdict(spec))]
    processes = [
        subprocess.Popen([*command, str(part), str(workers)], stdout=write_end, cwd=package_root)
        for part in range(workers)
    ]
    os.close(write_end)
    try:
        with open(read_end, encoding="utf-8") as names:
            yield from names
        if any(process.wait() for process in processes):
            why = "a worker failed (its message is above); put that right and run again"
            raise DataError(f"cannot generate the embedded set in {folder.parent}: {why}")
    finally:
        for process in processes:
            process.terminate()
            process.wait()
