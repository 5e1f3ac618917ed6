"""Video files: what is written comes back, phones may be held upright, damage is told."""

import struct
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from datasets.errors import DataError
from datasets.video import open_video, write_video

av = pytest.importorskip("av")
pytest.importorskip("imageio")
TURNS = {  # ISO 14496-12, the matrix of a track header: a, b, u, c, d, v, x, y, w
    "clockwise": (0, 1, 0, -1, 0, 0, 0, 0, 1),
    "upside down": (-1, 0, 0, 0, -1, 0, 0, 0, 1),
    "counterclockwise": (0, -1, 0, 1, 0, 0, 0, 0, 1),
}


def pictures(count: int = 6, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Smooth colours, in which the top left corner is the brightest, and a bar that moves."""
    y, x = np.mgrid[:height, :width]
    plain = np.stack([200 - 2 * y, 200 - 2 * x, 100 + y], 2).clip(0, 255).astype(np.uint8)
    frames = [plain.copy() for _ in range(count)]
    for number, frame in enumerate(frames):
        frame[:, 8 * number : 8 * number + 8] = 20
    return frames


@pytest.fixture
def clip(tmp_path) -> Path:
    write_video(tmp_path / "clip.mp4", pictures(), 12.5)
    return tmp_path / "clip.mp4"


def test_frames_come_back_in_order_with_their_numbers(clip):
    video = open_video(clip)
    assert (video.fps, video.length) == (12.5, 6)
    names, frames = zip(*video.frames(), strict=True)
    assert names == tuple(f"{number:05d}" for number in range(6))
    for frame, picture in zip(frames, pictures(), strict=True):
        assert frame.dtype == np.uint8
        assert np.abs(frame.astype(int) - picture).mean() < 8, "lossy, but the same picture"


def test_reading_may_begin_later(clip):
    later = list(open_video(clip).frames(4))
    assert [name for name, _ in later] == ["00004", "00005"]
    whole = dict(open_video(clip).frames())
    np.testing.assert_array_equal(later[0][1], whole["00004"])
    assert list(open_video(clip).frames(99)) == []


def test_what_is_written_plays_in_browsers(tmp_path):
    write_video(tmp_path / "odd.mp4", pictures(2, 33, 47), 24)
    with av.open(str(tmp_path / "odd.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.height, context.width) == ("h264", "yuv420p", 32, 46)
    data = (tmp_path / "odd.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a player need not wait for the end of the file"


@pytest.mark.parametrize("turn", TURNS)
def test_a_phone_held_otherwise_gives_upright_frames(turn, clip):
    data = bytearray(clip.read_bytes())
    at = data.index(b"tkhd") + 44
    units = [1 << 30 if place % 3 == 2 else 1 << 16 for place in range(9)]
    data[at : at + 36] = struct.pack(">9i", *(n * unit for n, unit in zip(TURNS[turn], units, strict=True)))
    clip.write_bytes(data)
    _, frame = next(open_video(clip).frames())
    _, reference = cv2.VideoCapture(str(clip)).read()
    assert frame.shape == ((48, 64, 3) if turn == "upside down" else (64, 48, 3))
    assert np.abs(frame.astype(int) - reference[..., ::-1]).mean() < 1


def test_a_folder_is_a_video_in_natural_order(tmp_path):
    for number in (10, 9, 1):
        Image.fromarray(pictures(1)[0] + np.uint8(number)).save(tmp_path / f"{number}.png")
    video = open_video(tmp_path)
    assert (video.fps, video.length) == (None, 3)
    assert [name for name, _ in video.frames()] == ["1", "9", "10"]
    np.testing.assert_array_equal(next(video.frames(2))[1], pictures(1)[0] + np.uint8(10))


def test_frames_of_several_sizes_are_no_video(tmp_path):
    for name, size in (("a", (8, 6)), ("b", (8, 7))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    with pytest.raises(DataError, match=r"frame b of .* is 7x8 but each before it is 6x8 \(height x width\)"):
        list(open_video(tmp_path).frames())


def test_what_is_no_video_is_named(tmp_path):
    (tmp_path / "text.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(DataError, match=r"cannot read the video .*text\.mp4: Invalid data"):
        open_video(tmp_path / "text.mp4")
    with pytest.raises(DataError, match=r"video not found: .*gone\.mp4"):
        open_video(tmp_path / "gone.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no frames"):
        open_video(tmp_path / "empty")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1000))
    with pytest.raises(DataError, match=r"sound\.wav holds no pictures, only audio"):
        open_video(tmp_path / "sound.wav")


def test_damage_is_told_when_it_is_reached(tmp_path):
    write_video(tmp_path / "clip.mp4", pictures(60), 24)
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    with av.open(str(tmp_path / "clip.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    damaged = packets[len(packets) // 2]
    data[damaged.pos : damaged.pos + damaged.size] = bytes([255]) * damaged.size
    (tmp_path / "clip.mp4").write_bytes(data)
    read = []
    with pytest.raises(DataError, match=r"clip\.mp4 after frame \d+: Invalid data .*whole\?"):
        for name, _ in open_video(tmp_path / "clip.mp4").frames():
            read.append(name)
    assert 0 < len(read) < 60
