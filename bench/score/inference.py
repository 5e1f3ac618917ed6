"""Running a method on the frames of a video, one after the other."""

import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch.nn.functional import interpolate

from methods.errors import MethodError
from methods.masks import most_likely

# Frames of fewer pixels are segmented by one thread: a second one gains nothing there and, when another program
# wants its core, costs tenfold (measured with a ResNet-18 student of a quarter of its width).
SMALL_FRAME = 160 * 160


class NotFinite(MethodError):
    """A method answered NaN or infinity: it has failed, whatever masks could be made of that."""


def follow(
    method,
    frames: Iterable[tuple[np.ndarray, np.ndarray | None]],
    device: str,
    size: tuple[int, int] | None = None,
    started: bool = False,
    video: str = "the video",
    first: int = 0,
) -> Iterator[tuple[np.ndarray, float | None]]:
    """Each frame's mask, uint8 (H, W) object ids, and the milliseconds from a frame on the device to the mask.

    frames: uint8 (H, W, 3) RGB, each with the mask that gives its new objects or None. The first starts the method,
    unless it is `started`; it has its given mask and no time. size: (H, W) of masks where it is not the frames'.
    video, first: what messages call it, and the number of its first frame here. Raises MethodError for an answer of
    the wrong shape, and NotFinite.
    """
    for number, (pixels, given) in enumerate(frames, first):
        frame = to_tensor(pixels, device)
        mask = None if given is None else torch.from_numpy(given).long().to(device)
        if started:
            begin = time.perf_counter()
            answer = method.step(frame) if mask is None else method.add(frame, mask)
            labels = object_masks(method, answer, frame, size)
            milliseconds = 1000 * (time.perf_counter() - begin)
            if not _is_finite(answer):
                raise NotFinite(
                    f"{type(method).__name__} answered NaN or infinity to frame {number} (from 0) of {video}"
                )
            yield labels, milliseconds
        else:
            assert given is not None, "a video starts with a mask"
            method.start(frame, mask)
            started = True
            yield given, None


def object_masks(
    method, probabilities: torch.Tensor, frame: torch.Tensor, size: tuple[int, int] | None = None
) -> np.ndarray:
    """A method's answer (N + 1, H, W) to a frame (3, H, W) as uint8 object ids on the host, at `size` if given.

    Raises MethodError unless there is a plane of the frame's size for the background and each object.
    """
    wanted = (len(method.object_ids) + 1, *frame.shape[1:])
    found = tuple(probabilities.shape) if isinstance(probabilities, torch.Tensor) else type(probabilities).__name__
    if found != wanted:
        raise MethodError(
            f"{type(method).__name__} answered {found} where a tensor {wanted} is due: the background and "
            f"{wanted[0] - 1} object(s) at the frame's size"
        )
    if size is not None and wanted[1:] != size:
        probabilities = interpolate(probabilities[None], size, mode="bilinear")[0]
    labels = most_likely(probabilities).cpu().numpy()  # the copy waits for the device
    return np.array([0, *method.object_ids], np.uint8)[labels]


def _is_finite(x: torch.Tensor) -> bool:
    """Whether all values are: their sum, which is quick, tells it unless it is too large itself."""
    return bool(x.sum(dtype=torch.float32).isfinite()) or bool(x.isfinite().all())


def threads_for(height: int, width: int) -> int | None:
    """How many threads segment frames of this size; None: torch's own choice."""
    return 1 if height * width < SMALL_FRAME else None


def to_tensor(frame: np.ndarray, device: str) -> torch.Tensor:
    """uint8 (H, W, 3) RGB -> float (3, H, W) in [0, 1] on the device."""
    return torch.from_numpy(frame).to(device).permute(2, 0, 1).float() / 255
