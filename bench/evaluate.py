"""Running a method over a set of videos: masks, scores and a picture, a sequence at a time."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from bench.errors import ConfigError
from bench.files import read_json, replace_atomically, write_json
from bench.measure.accuracy import SequenceScores, score_sequence
from bench.pictures import overlay_strip
from datasets.images import read_mask, write_mask
from datasets.sequence import Sequence, VideoSet

STRIP_FRAMES = 6


@dataclass(frozen=True)
class Evaluation:
    """Scores of every sequence, and the milliseconds of every step (decoding and scoring excluded)."""

    scores: list[SequenceScores]
    step_ms: list[float]
    resolution: str


def evaluate(method, videos: VideoSet, folder: Path, device: str, label: str = "") -> Evaluation:
    """Segment and score every sequence; `folder` gets `masks/<sequence>/*.png`, `scores/*.json`, `overlay.png`.

    Sequences that an earlier, interrupted evaluation finished are taken from the folder. The score follows
    the DAVIS protocol: objects of the first mask, first and last frame not judged.
    """
    done = []
    frames = sum(len(sequence) for sequence in videos.sequences)
    with tqdm(total=frames, desc=f"evaluate {label or videos.name}", unit="frame", mininterval=2) as bar:
        for sequence in videos.sequences:
            path = folder / "scores" / f"{sequence.name}.json"
            entry = read_json(path)
            if entry is None:
                entry = _evaluate_sequence(method, sequence, folder, device)
                write_json(path, entry)
            bar.update(len(sequence))
            done.append(entry)
    if not (folder / "overlay.png").exists():
        _draw_strip(videos.sequences[0], folder)
    scores = [
        SequenceScores(e["name"], tuple(e["object_ids"]), np.array(e["j"]), np.array(e["f"])) for e in done
    ]
    sizes = {tuple(e["size"]) for e in done}
    resolution = "x".join(map(str, sizes.pop())) if len(sizes) == 1 else "mixed"
    return Evaluation(scores, [ms for e in done for ms in e["step_ms"]], resolution)


def _evaluate_sequence(method, sequence: Sequence, folder: Path, device: str) -> dict:
    """Masks of one sequence into the folder; its frame scores and the time of each step."""
    if len(sequence) < 3:
        raise ConfigError(f"sequence {sequence.name} has {len(sequence)} frames; scoring needs at least 3")
    ids = np.array([0, *sequence.object_ids])
    truths = [sequence.mask(i) for i in range(len(sequence))]
    first = np.where(np.isin(truths[0], ids), truths[0], 0)  # void pixels start as background
    method.start(to_tensor(sequence.frame(0), device), torch.from_numpy(first).long().to(device))
    predictions, step_ms = [first], []
    for index in range(1, len(sequence)):
        frame = to_tensor(sequence.frame(index), device)
        started = time.perf_counter()
        labels = method.step(frame).argmax(0).cpu().numpy()  # the copy waits for the device
        step_ms.append(1000 * (time.perf_counter() - started))
        predictions.append(ids[labels])
    for path, mask in zip(sequence.frames, predictions, strict=True):
        out = folder / "masks" / sequence.name / f"{path.stem}.png"
        replace_atomically(out, lambda temporary, mask=mask: write_mask(temporary, mask))
    scores = score_sequence(sequence.name, predictions, truths, sequence.object_ids)
    return {
        "name": sequence.name,
        "object_ids": list(sequence.object_ids),
        "size": list(first.shape),
        "step_ms": step_ms,
        "j": scores.j.tolist(),
        "f": scores.f.tolist(),
    }


def to_tensor(frame: np.ndarray, device: str) -> torch.Tensor:
    """uint8 (H, W, 3) RGB -> float (3, H, W) in [0, 1] on the device."""
    return torch.from_numpy(frame).to(device).permute(2, 0, 1).float() / 255


def _draw_strip(sequence: Sequence, folder: Path) -> None:
    chosen = np.linspace(0, len(sequence) - 1, min(STRIP_FRAMES, len(sequence))).astype(int)
    stems = [sequence.frames[i].stem for i in chosen]
    masks = [read_mask(folder / "masks" / sequence.name / f"{stem}.png") for stem in stems]
    overlay_strip([sequence.frame(i) for i in chosen], masks, folder / "overlay.png")
