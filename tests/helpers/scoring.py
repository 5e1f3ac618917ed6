"""What the tests of job=score share: small data sets made of arrays, and the definitions, written slowly."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from bench.__main__ import main
from datasets.images import write_mask

SIZE = (24, 32)  # tolerance: 1 pixel
FIGURES = ("j_mean", "j_recall", "j_decay", "f_mean", "f_recall", "f_decay", "jf_mean")


# --- the definitions, slowly, in float64 ------------------------------------------------------------


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    return (here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:])


def slow_jf(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """J and F of one object's boolean masks."""
    union = (prediction | truth).sum()
    j = (prediction & truth).sum() / union if union else 1.0
    ours, theirs = slow_boundary(prediction), slow_boundary(truth)
    if not ours.any() or not theirs.any():
        return j, float(ours.any() == theirs.any())
    radius = np.ceil(0.008 * np.hypot(*truth.shape))
    precision = (distance_transform_edt(~theirs)[ours] <= radius).mean()
    recall = (distance_transform_edt(~ours)[theirs] <= radius).mean()
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def slow_figures(predictions, truths, object_id: int, frames) -> dict[str, float]:
    """The seven figures of an object over these frames (fewer than 256)."""
    pairs = [(predictions[t] == object_id, truths[t] == object_id) for t in frames]
    figures = {}
    for name, values in zip("jf", np.array([slow_jf(*pair) for pair in pairs]).T, strict=True):
        quarter = [int(np.floor(1.5 + k * (len(values) - 1) / 4)) for k in range(5)]  # from 1, rounded
        first, last = values[: quarter[1]], values[quarter[3] - 1 :]
        figures |= {f"{name}_mean": values.mean(), f"{name}_recall": (values > 0.5).mean()}
        figures[f"{name}_decay"] = first.mean() - last.mean()
    return {**figures, "jf_mean": (figures["j_mean"] + figures["f_mean"]) / 2}


# --- data sets and predictions made of arrays -------------------------------------------------------


def video(seed: int, frames: int = 9, ids: tuple[int, ...] = (1, 2), size=SIZE) -> list[np.ndarray]:
    """Rectangles that wander, the later ids on top."""
    rng = np.random.default_rng(seed)
    starts, steps = rng.integers(0, 12, (len(ids), 1, 2)), rng.integers(-2, 3, (len(ids), frames, 2))
    corners = np.maximum(starts + steps.cumsum(axis=1), 0)
    masks = np.zeros((frames, *size), np.uint8)
    for i, path in zip(ids, corners, strict=True):
        for mask, (y, x) in zip(masks, path, strict=True):
            mask[y : y + 9, x : x + 11] = i
    return list(masks)


def write_grey(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def save_masks(folder: Path, videos: dict[str, list[np.ndarray | None]], write=write_mask) -> Path:
    for name, masks in videos.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for t, mask in enumerate(masks):
            if mask is not None:
                write(folder / name / f"{t:05d}.png", mask)
    return folder


def save_davis(root: Path, videos: dict[str, list[np.ndarray | None]], year: int = 2017) -> list[str]:
    """Write the truth in the layout of DAVIS; returns the arguments that name it."""
    save_masks(root / "Annotations/480p", videos)
    for name, masks in videos.items():
        (root / "JPEGImages/480p" / name).mkdir(parents=True)
        for t in range(len(masks)):
            Image.new("RGB", masks[0].shape[::-1]).save(root / "JPEGImages/480p" / name / f"{t:05d}.jpg")
    (root / f"ImageSets/{year}").mkdir(parents=True)
    (root / f"ImageSets/{year}/val.txt").write_text("\n".join(videos))
    return [f"dataset=davis{year}", f"dataset.root={root}"]


class Score:
    """Runs the command line; `scores` is what it wrote."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __call__(self, predictions: Path, *arguments: str) -> int:
        words = [f"predictions={predictions}", f"output={self.out}", f"runs={self.out}/runs", "processes=1"]
        return main(["job=score", *words, *arguments])

    @property
    def scores(self) -> dict:
        return json.loads((self.out / "scores.json").read_text())

    def figures(self, name: str) -> dict[str, float]:
        return self.scores["per_object"][name]


def noisy(seed: int, videos: dict[str, list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    """Masks moved about and speckled."""
    rng = np.random.default_rng(seed)
    return {
        name: [
            np.where(rng.random(mask.shape) < 0.02, 1, np.roll(mask, rng.integers(-2, 3, 2), (0, 1))).astype(
                np.uint8
            )
            for mask in masks
        ]
        for name, masks in videos.items()
    }


def complaint(capsys) -> str:
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line
