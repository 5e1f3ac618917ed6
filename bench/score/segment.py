"""A video of one's own: the masks of its frames, one after the other, and the video with them drawn over it.

No more than a frame is in memory at a time, besides what the method remembers.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bench.score.inference import follow, threads_for
from bench.score.pictures import is_picture, overlay
from bench.system.files import replace_atomically, set_aside, write_checkpoint
from bench.system.progress import track, tracked
from bench.system.workers import threads
from datasets.errors import DataError
from datasets.images import check_size, read_ids, write_mask
from datasets.video import Video, write_video
from methods.checkpoint import read_file
from methods.errors import MethodError

SECONDS_BETWEEN_STATES = 30
OVERLAY_EDGE = 1920  # px of the longer side at most: an encoder keeps dozens of frames, and 4K ones fill memory
GIF_WIDTH, GIF_FRAMES = 480, 300


@dataclass(frozen=True)
class Task:
    """What to segment: `mask`, uint8 (H, W) object ids, is that of frame `start`.

    long_edge: px of the longer side of the frames that the method sees; None: as they are. key: a hash of all
    that the masks depend on.
    """

    video: Video
    mask: np.ndarray
    start: int
    long_edge: int | None
    key: str

    @property
    def object_ids(self) -> list[int]:
        return [int(i) for i in np.unique(self.mask) if i]

    @property
    def seen_size(self) -> tuple[int, int]:
        """(H, W) of the frames that the method sees."""
        return fitted(self.mask.shape, self.long_edge)

    @property
    def seen_mask(self) -> np.ndarray:
        """The mask at that size."""
        return _resized(self.mask, self.seen_size, cv2.INTER_NEAREST_EXACT)

    @property
    def frames(self) -> int | None:
        """How many there are to segment, as far as the video tells."""
        return None if self.video.length is None else max(0, self.video.length - self.start)


def check_first_frame(task: Task, mask_path: Path) -> None:
    """Raise DataError when the video has no frame `start`, or one of another size than the mask."""
    frame = next((frame for _, frame in task.video.frames(task.start)), None)
    if frame is None:
        length = sum(1 for _ in task.video.frames())
        raise DataError(f"{task.video.path} has {length} frames: there is no frame start={task.start}")
    what, of, advice = f"the mask {mask_path}", f"a frame of {task.video.path}", "give a mask of the video's size"
    check_size(what, task.mask.shape, of, frame.shape[:2], advice)
    lost = set(task.object_ids) - set(np.unique(task.seen_mask).tolist())
    if lost:
        raise DataError(f"object {min(lost)} is too small to be seen at size={task.long_edge}: give a larger one")


def segment(method, task: Task, folder: Path, device: str) -> list[float]:
    """Write `masks/<frame>.png` of every frame below `folder`; returns the milliseconds of all but the first.

    A call that was killed goes on from the last `state.pt`, at most 30 s old, where the method can tell its
    state, and otherwise starts again. Raises DataError where a frame cannot be read; the masks so far are kept.
    """
    state_file, done, step_ms = folder / "state.pt", 0, []
    if hasattr(method, "load_video_state") and (state := _saved(state_file, task, device)):
        method.load_video_state(state["method"])
        step_ms = state["step_ms"]
        done = 1 + len(step_ms)
    count = f"{len(task.object_ids)} object" + "s" * (len(task.object_ids) > 1)
    saved = time.monotonic()
    names: list[str] = []  # of the frame that was read last

    def frames() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for number, (name, frame) in enumerate(task.video.frames(task.start + done), done):
            names.append(name)
            yield _resized(frame, task.seen_size), None if number else task.seen_mask

    with threads(threads_for(*task.seen_size)), track("segment", count, task.frames, "frames", done) as bar:
        for found, milliseconds in follow(
            method, frames(), device, task.mask.shape, done > 0, str(task.video.path), task.start + done
        ):
            mask = task.mask if milliseconds is None else found
            step_ms += [] if milliseconds is None else [milliseconds]
            replace_atomically(folder / "masks" / f"{names.pop()}.png", partial(write_mask, mask=mask))
            if hasattr(method, "video_state") and time.monotonic() - saved > SECONDS_BETWEEN_STATES:
                state = {"key": task.key, "step_ms": step_ms, "method": method.video_state()}
                write_checkpoint(state_file, state)
                saved = time.monotonic()
            bar.update()
    return step_ms


def _saved(path: Path, task: Task, device: str) -> dict | None:
    """What a killed call left of this task; None where it or a mask that it has written is damaged."""
    if not path.exists():
        return None
    try:
        state = read_file(path, device, {"key": str, "step_ms": list, "method": dict})
    except MethodError:
        set_aside(path)
        return None
    masks = [is_picture(mask) for mask in path.parent.glob("masks/*.png")]
    whole = state["key"] == task.key and all(masks) and len(masks) > len(state["step_ms"])
    return state if whole else None


def draw(task: Task, folder: Path, fps: float, gif: bool = False) -> list[Path]:
    """Write overlay.mp4, at most 1920 px wide or high, and if wanted overlay.gif, from the masks of `segment`."""
    films = [folder / "overlay.mp4"]
    replace_atomically(films[0], lambda path: write_video(path, _overlays(task, folder), fps))
    if gif:
        films.append(folder / "overlay.gif")
        replace_atomically(films[1], lambda path: _write_gif(path, _overlays(task, folder), fps))
    return films


def _overlays(task: Task, folder: Path) -> Iterator[np.ndarray]:
    frames = task.video.frames(task.start)
    for name, frame in tracked(frames, task.frames, stage="draw", what="the overlay", unit="frames"):
        mask = read_ids(folder / "masks" / f"{name}.png")
        size = fitted(mask.shape, OVERLAY_EDGE)
        yield overlay(_resized(frame, size), _resized(mask, size, cv2.INTER_NEAREST_EXACT))


def _write_gif(path: Path, pictures: Iterator[np.ndarray], fps: float) -> None:
    """Pillow keeps what differs from frame to frame until the end: only for short videos."""
    small = []
    for picture in pictures:
        image = Image.fromarray(picture)
        image.thumbnail((GIF_WIDTH, 4 * GIF_WIDTH))
        small.append(image.quantize(128))
    small[0].save(path, save_all=True, append_images=small[1:], duration=1000 / fps, loop=0)


def fitted(size: tuple[int, ...], long_edge: int | None) -> tuple[int, int]:
    """(H, W) in proportion, the longer side within `long_edge`; never enlarged."""
    scale = min(1.0, (long_edge or max(size)) / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _resized(image: np.ndarray, size: tuple[int, int], interpolation: int = cv2.INTER_AREA) -> np.ndarray:
    return image if image.shape[:2] == size else cv2.resize(image, size[::-1], interpolation=interpolation)
