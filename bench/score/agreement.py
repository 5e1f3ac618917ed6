"""Which masks of a network may be learnt from: those that it finds again on its way back through the video."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bench.score.inference import follow, threads_for
from bench.score.metrics.region import region
from bench.system.workers import threads

SAME = 0.5  # IoU in frame 0 from which on what the way back ends on is the object, however well it is outlined

Frame = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Labels:
    """A clip's masks, uint8 (H, W), with the objects `ids` alone, those that the way back led to again.

    agreement: float (T, N) in [0, 1], IoU of both ways, up to the frame where the way back began; without such an
    object, of all objects on the last way back. runs: frames that are kept; each starts where all objects show.
    """

    masks: list[np.ndarray] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    agreement: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    runs: list[range] = field(default_factory=list)


def label(
    method, frame: Frame, length: int, mask: np.ndarray, threshold: float, shortest: int, device: str, video: str
) -> Labels:
    """Follow the objects of `mask`, uint8 (H, W), forward from frame 0 and back from the last frame that shows one.

    A frame is kept where, of each object, the IoU of both ways is above the threshold; `shortest` kept ones in a
    row are a run. Where the way back begins both agree by themselves, also on a wrong object, so one counts only
    where its way back ends on its first mask. Where none does, the way back begins again in the middle of the way.
    Raises as `follow`.
    """
    ids = [int(i) for i in np.unique(mask) if i]
    with threads(threads_for(*mask.shape)):
        forward = _tracked(method, frame, range(length), mask, device, video)
        end, agreement = length - 1, np.zeros((0, len(ids)))
        while (end := _last_shown(forward, end)) + 1 >= shortest:
            back = _tracked(method, frame, range(end, -1, -1), forward[end], device, video)[::-1]
            agreement = np.stack([region(one, other, ids) for one, other in zip(forward, back, strict=False)])
            found = agreement[0] > min(threshold, SAME)
            if found.any():
                kept = [i for i, is_found in zip(ids, found, strict=True) if is_found]
                masks = [np.where(np.isin(one, kept), one, 0).astype(np.uint8) for one in forward[: end + 1]]
                agreed = np.all(agreement[:, found] > threshold, axis=1)
                return Labels(masks, kept, agreement[:, found], _runs(agreed, masks, kept, shortest))
            end //= 2
    return Labels(agreement=agreement)


def _tracked(method, frame: Frame, times: range, mask: np.ndarray, device: str, video: str) -> list[np.ndarray]:
    frames = ((frame(t), mask if t == times[0] else None) for t in times)
    return [found for found, _ in follow(method, frames, device, video=video)]


def _last_shown(masks: list[np.ndarray], end: int) -> int:
    """The last frame up to `end` whose mask shows an object; frame 0 does."""
    return next(t for t in range(end, -1, -1) if masks[t].any())


def _runs(agreed: np.ndarray, masks: list[np.ndarray], ids: list[int], shortest: int) -> list[range]:
    runs: list[range] = []
    start = 0
    for end in [*np.flatnonzero(~agreed), len(agreed)]:
        while start < end and not np.isin(ids, masks[start]).all():
            start += 1
        if end - start >= shortest:
            runs.append(range(start, int(end)))
        start = int(end) + 1
    return runs
