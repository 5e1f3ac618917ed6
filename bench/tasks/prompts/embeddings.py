"""A teacher's image embeddings on disk: computed once, read by every student of every step."""

import os
from pathlib import Path

import numpy as np
import torch

from bench.plan.cells import content_hash
from bench.system.errors import ConfigError
from bench.system.files import read_json, room_in, write_json
from bench.system.locks import alone
from bench.system.progress import track
from bench.tasks.prompts.images import ImageStream
from methods.sam.network import STRIDE, Sam

DTYPES = {"fp32": np.float32, "fp16": np.float16}
PER_BATCH = 8
GB = 1e9


def store_embeddings(
    teacher: Sam, key: str, stream: ImageStream, folder: Path, precision: str, limit_gb: float, device: str
) -> np.memmap:
    """A teacher's embeddings (N, C, S / 16, S / 16) of all images of a stream, computed where not there yet.

    key: of the teacher and of what the images hold. They lie in `folder/<hash of it, the images' names and the
    precision>`; a killed computation goes on where it was. Before anything is computed, raises ConfigError where
    they need more than `limit_gb` (1e9 bytes each) and DiskFull where the disk has no room.
    """
    side = teacher.image_size // STRIDE
    shape = (len(stream.images), teacher.embedding_channels, side, side)
    names = [image.name for image in stream.images]
    place = folder / content_hash([key, names, stream.side, precision])
    place.mkdir(parents=True, exist_ok=True)
    with alone(place / "lock", "computing the teacher's embeddings"), room_in(place):
        path, state = place / "embeddings.npy", place / "done.json"
        done = (read_json(state, {"images": int}) or {}).get("images", 0) if path.exists() else 0
        if done < len(names):
            if not done:
                _reserve(path, shape, precision, limit_gb)
            _compute(teacher, stream, path, state, done, device)
    return np.load(path, mmap_mode="r")


def _reserve(path: Path, shape: tuple[int, ...], precision: str, limit_gb: float) -> None:
    """A file of this size, all of which the disk has given: a memory map of a full disk would crash."""
    dtype = np.dtype(DTYPES[precision])
    need = np.prod(shape, dtype=float) * dtype.itemsize / GB
    advice = "raise it, store them in half of that (scale.student.embeddings=fp16) or learn from fewer images"
    if need > limit_gb:
        raise ConfigError(
            f"the teacher's embeddings of {shape[0]} images need {need:.3g} GB, and "
            f"scale.student.embeddings_gb={limit_gb:g} is the most that they may: {advice}"
        )
    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    size = array.offset + array.nbytes
    del array
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        path.unlink(missing_ok=True)
        raise


@torch.inference_mode()
def _compute(teacher: Sam, stream: ImageStream, path: Path, state: Path, done: int, device: str) -> None:
    array = np.load(path, mmap_mode="r+")
    with track("compute", "the teacher's embeddings", len(array), "images", done) as bar:
        for start in range(done, len(array), PER_BATCH):
            numbers = range(start, min(start + PER_BATCH, len(array)))
            images = torch.stack([stream.fitted(number).image for number in numbers]).to(device)
            array[start : numbers.stop] = teacher.encode_image(images).float().cpu().numpy()
            array.flush()
            write_json(state, {"images": numbers.stop})
            bar.update(len(numbers))
