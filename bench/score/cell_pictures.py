"""The pictures of a finished cell, drawn from its masks: a strip of them, and frames with their errors."""

from functools import partial
from pathlib import Path

import numpy as np
from omegaconf import ListConfig
from PIL import Image

from bench.score.pictures import errors, is_picture, overlay_strip
from bench.system.errors import ConfigError
from bench.system.files import inside, replace_atomically
from datasets.images import VOID, read_ids
from datasets.sequence import Sequence, VideoSet

STRIP_FRAMES = 6
QUALITY = 90  # of JPEG: flat colours show no blocks, and a PNG is four times as large


def choose_sequences(videos: VideoSet, wanted: str | ListConfig) -> list[Sequence]:
    """`first`, `all`, `none`, or the names of some sequences. Raises ConfigError for a name that is not there."""
    named = {sequence.name: sequence for sequence in videos.sequences}
    groups = {"first": list(named)[:1], "all": list(named), "none": []}
    names = groups.get(wanted, [wanted]) if isinstance(wanted, str) else list(wanted)
    for name in names:
        if name not in named:
            known = ", ".join(list(named)[:8]) + (", ..." if len(named) > 8 else "")
            raise ConfigError(f"pictures={name}: choose first, all, none, or sequences of {videos.name}: {known}")
    return [named[name] for name in names]


def draw_cell(
    videos: VideoSet, chosen: list[Sequence], folder: Path, with_frames: bool = True
) -> tuple[str, dict[str, str]]:
    """Draw what is not there yet; returns the strip ("" for none) and {sequence: its folder of pictures}.

    The strip, `folder/overlay.png`, shows masks of the first sequence, `folder/errors/<sequence>/<frame>.jpg` the
    errors of each frame of the chosen ones that has a truth. Masks that somebody deleted have no pictures.
    with_frames: over the frames, or (`overlay_plain.png`, `errors_plain`) over black.
    """
    suffix = "" if with_frames else "_plain"
    strip, drawn = folder / f"overlay{suffix}.png", folder / f"errors{suffix}"
    # Those of older versions have other colours than what is drawn now; all rows of a sheet should have the same.
    if not is_picture(strip) or not drawn.exists():
        _draw_strip(videos.sequences[0], folder / "masks", strip, with_frames)
    drawn.mkdir(exist_ok=True)
    pictures = {
        sequence.name: str(drawn / sequence.name)
        for sequence in chosen
        if sequence.has_truth
        and _draw_errors(sequence, folder / "masks" / sequence.name, inside(drawn, sequence.name), with_frames)
    }
    return str(strip) if strip.exists() else "", pictures


def _draw_errors(sequence: Sequence, masks: Path, drawn: Path, with_frames: bool) -> bool:
    """Whether there are pictures of the sequence."""
    for index in sequence.annotated:
        stem = sequence.frames[index].stem
        path, mask = drawn / f"{stem}.jpg", masks / f"{stem}.png"
        if path.exists():
            continue
        if not mask.exists():
            return False
        truth = sequence.annotation(index)
        truth = np.where(np.isin(truth, (*sequence.object_ids, VOID)), truth, 0)  # those that are followed
        picture = Image.fromarray(errors(_frame(sequence, index, with_frames), read_ids(mask), truth))
        replace_atomically(path, partial(picture.save, quality=QUALITY))
    return True


def _draw_strip(sequence: Sequence, folder: Path, path: Path, with_frames: bool) -> None:
    chosen = np.linspace(0, len(sequence) - 1, min(STRIP_FRAMES, len(sequence))).astype(int)
    masks = [folder / sequence.name / f"{sequence.frames[i].stem}.png" for i in chosen]
    if all(mask.exists() for mask in masks):
        frames = [_frame(sequence, i, with_frames) for i in chosen]
        overlay_strip(frames, [read_ids(mask) for mask in masks], path)


def _frame(sequence: Sequence, index: int, shown: bool) -> np.ndarray:
    frame = sequence.frame(index)
    return frame if shown else np.zeros_like(frame)
