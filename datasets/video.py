"""A video of one's own, read one frame after the other, and pictures written as a video.

PyAV reads: it tells where a file is damaged and how a phone was held. imageio writes with it.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.errors import DataError
from datasets.files import check_regular
from datasets.folder import list_frames
from datasets.images import check_size, read_frame

INSTALL = ".venv/bin/python -m pip install -e '.[video]' -c constraints.txt"


@dataclass(frozen=True)
class Video:
    """A video file or a folder of images.

    fps: frames a second, None of a folder; length: frames, as far as the file's header tells (it may err).
    """

    path: Path
    fps: float | None
    length: int | None

    def frames(self, start: int = 0) -> Iterator[tuple[str, np.ndarray]]:
        """(name, uint8 (H, W, 3) RGB) from frame `start` on: the file's stem, of a video file the frame's number.

        Holds one frame at a time. Raises DataError for one that cannot be read or has another size than those
        before.
        """
        found = _of_file(self.path, start)
        if self.path.is_dir():
            found = ((path.stem, read_frame(path)) for path in list_frames(self.path.name, self.path)[start:])
        size = None
        for name, frame in found:
            size = size or frame.shape[:2]
            what = f"frame {name} of {self.path}"
            check_size(what, frame.shape[:2], "each before it", size, "give frames of one size")
            yield name, frame


def open_video(path: Path) -> Video:
    """Open a video file or a folder of images. Raises DataError for one that is absent or holds no frames."""
    av = _library()  # for a folder too: who reads a video will write one
    if path.is_dir():
        return Video(path, None, len(list_frames(path.name, path)))
    check_regular(path, "video")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
                raise DataError(f"{path} holds no pictures, only {kinds}")
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            told = container.duration is not None and rate  # the header's seconds
            length = stream.frames or (math.ceil(container.duration / 1e6 * rate) if told else None)
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"cannot read the video {path}: {error.strerror or error}") from None
    return Video(path, float(rate) if rate else None, length)


def write_video(path: Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Write uint8 (H, W, 3) RGB pictures of one size as H.264 that every browser plays.

    Its format wants even sides: an odd one loses its last row or column, a single one is doubled.
    """
    _library()
    from imageio.v3 import imopen

    options = {"movflags": "+faststart"}  # the stubs do not know it
    with imopen(path, "w", plugin="pyav", options=options) as file:  # type: ignore[call-overload]
        file.init_video_stream("libx264", fps=fps, pixel_format="yuv420p")
        for picture in pictures:
            doubled = picture.repeat(1 + (picture.shape[0] == 1), 0).repeat(1 + (picture.shape[1] == 1), 1)
            height, width = (side - side % 2 for side in doubled.shape[:2])
            file.write_frame(doubled[:height, :width])


def _of_file(path: Path, start: int) -> Iterator[tuple[str, np.ndarray]]:
    av = _library()
    number = 0
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"  # several frames at once, or several parts of one
            for number, frame in enumerate(container.decode(stream)):
                if number >= start:
                    upright = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                    yield f"{number:05d}", np.ascontiguousarray(upright)
    except (av.FFmpegError, OSError) as error:
        why = error.strerror or error
        raise DataError(f"cannot read the video {path} after frame {number}: {why}; is the file whole?") from None


def _library():
    try:
        import av
        import imageio  # noqa: F401  told now, not when hours are spent
    except ModuleNotFoundError as error:
        raise DataError(f"videos need the package {error.name}: {INSTALL}") from None
    return av
