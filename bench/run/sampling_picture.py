"""The pixels that a recipe's losses on features compare: a picture, and how many lie where."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

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
from methods.distillation.sampling import boundary

ZOOM = 3
CLIPS = 3
DOT = (255, 210, 0)


def describe_sampling(network: Network, folder: Path, runs: Path, device: str) -> dict[str, str]:
    """The fields `sampling_picture` and `sampling_shares` of a record; {} for a network whose recipe samples none.

    The picture shows the pixels sampled in the first object of some training clips as dots. The clips are the first
    of the training, the same for all recipes; each shows its second frame, the first one that is evaluated. The
    shares are those of the sampled pixels that lie on a boundary, and that a random sample holds as well.
    """
    training = network.training
    if training is None or training.teacher is None or Reads.PIXELS not in training.recipe.reads:
        return {}
    sampling, random = training.recipe.sampling, replace(training.recipe.sampling, pixels="random")
    shares: dict[str, list[float]] = {"boundary": [], "random": []}
    teacher = build(training.teacher, runs, device)
    stream = open_training(training.data, training.schedule, training.seed)
    tiles = []
    for batch in batches(stream, training.schedule, 0, device):
        with torch.inference_mode():
            answers = teacher.roll_out(batch["frames"], batch["first_masks"], batch["valid"])
        target = batch["masks"][:, 1:]
        generator = torch.Generator().manual_seed(training.seed << 32)
        own, index = sampled_pixels(sampling, answers, target, generator)
        _, others = sampled_pixels(random, answers, target, generator)
        on_boundary = boundary(own, sampling.boundary_width).flatten(1)
        in_random = torch.zeros_like(on_boundary).scatter(1, others, torch.ones_like(others, dtype=torch.bool))
        for name, marked in (("boundary", on_boundary), ("random", in_random)):
            shares[name].append(float(marked.gather(1, index).float().mean()))
        per_frame = index.view(len(answers.video), -1, index.shape[1])
        for clip in range(len(batch["frames"])):
            at = (answers.video == clip).nonzero()[0, 0]
            tiles.append(_tile(batch["frames"][clip, 1], per_frame[at, 0]))
        if len(tiles) >= CLIPS:
            break
    path = folder / "sampling.png"
    replace_atomically(path, Image.fromarray(np.hstack(tiles[:CLIPS])).save)
    means = {name: fmean(found) for name, found in shares.items()}
    return {"sampling_picture": str(path), "sampling_shares": json.dumps(means)}


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
