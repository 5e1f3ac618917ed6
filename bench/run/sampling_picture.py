"""A picture of the pixels that a recipe's losses on features compare."""

from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from bench.losses.base import Reads
from bench.losses.pixels import EMBEDDING_STRIDE, sampled_pixels
from bench.plan.cells import Network
from bench.plan.data import open_training
from bench.run.networks import build
from bench.system.files import replace_atomically
from bench.train.answers import batches

ZOOM = 3
CLIPS = 3
DOT = (255, 210, 0)


def sampling_picture(network: Network, folder: Path, runs: Path, device: str) -> str:
    """Draw the pixels sampled in the first object of some training clips as dots; returns the file's path.

    Writes nothing and returns "" for a network whose recipe samples none. The clips are the first of the
    training, the same for all recipes; each shows its second frame, the first one that is evaluated.
    """
    training = network.training
    if training is None or training.teacher is None or Reads.PIXELS not in training.recipe.reads:
        return ""
    teacher = build(training.teacher, runs, device)
    stream = open_training(training.data, training.schedule, training.seed)
    tiles = []
    for batch in batches(stream, training.schedule, 0, device):
        with torch.inference_mode():
            answers = teacher.roll_out(batch["frames"], batch["first_masks"], batch["valid"])
        generator = torch.Generator().manual_seed(training.seed << 32)
        _, index = sampled_pixels(training.recipe.sampling, answers, batch["masks"][:, 1:], generator)
        per_frame = index.view(len(answers.video), -1, index.shape[1])
        for clip in range(len(batch["frames"])):
            at = (answers.video == clip).nonzero()[0, 0]
            tiles.append(_tile(batch["frames"][clip, 1], per_frame[at, 0]))
        if len(tiles) >= CLIPS:
            break
    path = folder / "sampling.png"
    replace_atomically(path, Image.fromarray(np.hstack(tiles[:CLIPS])).save)
    return str(path)


def _tile(frame: torch.Tensor, index: torch.Tensor) -> np.ndarray:
    """uint8 (3 H, 3 W, 3): the dimmed frame with a dot at each of the flat positions."""
    image: np.ndarray = (frame.permute(1, 2, 0).cpu().numpy() * 160).astype(np.uint8)
    image = cv2.resize(image, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
    cell = EMBEDDING_STRIDE * ZOOM
    width = frame.shape[-1] // EMBEDDING_STRIDE
    for position in index.tolist():
        row, column = divmod(position, width)
        centre = (column * cell + cell // 2, row * cell + cell // 2)
        cv2.circle(image, centre, cell // 4, DOT, -1, cv2.LINE_AA)
    return cv2.copyMakeBorder(image, 0, 0, 0, ZOOM, cv2.BORDER_CONSTANT, value=(255, 255, 255))
