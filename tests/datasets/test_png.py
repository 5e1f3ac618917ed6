"""The short cut around Pillow gives what Pillow gives, or nothing."""

import io
import struct
import zlib
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image

from datasets.images import davis_palette, read_ids
from datasets.png import SIGNATURE, decode_quickly


def ids(height: int, width: int) -> np.ndarray:
    """All 256 values in noise, too much of it for one IDAT chunk when large."""
    return np.random.default_rng([height, width]).integers(0, 256, (height, width), dtype=np.uint8)


def saved(image: Image.Image, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def palette_png(mask: np.ndarray, **options) -> bytes:
    image = Image.fromarray(mask)
    image.putpalette(davis_palette())
    return saved(image, **options)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(header: tuple[int, ...], rows: bytes, *more: bytes, parts: int = 1) -> bytes:
    """A grey or palette PNG by hand: header from width to interlacing, rows with their filters."""
    data = zlib.compress(rows)
    cuts = np.linspace(0, len(data), parts + 1).astype(int)
    idats = [chunk(b"IDAT", data[a:b]) for a, b in pairwise(cuts)]
    return SIGNATURE + b"".join(
        [chunk(b"IHDR", struct.pack(">IIBBBBB", *header)), *more, *idats, chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (480, 854), (3, 300)])
@pytest.mark.parametrize("options", [{}, {"transparency": 0}, {"compress_level": 0}, {"optimize": True}])
def test_palette_pngs_of_pillow(size, options):
    mask = ids(*size)
    mask.ravel()[-1] = 255
    found = decode_quickly(palette_png(mask, bits=8, **options))
    assert (found.dtype, found.flags.writeable, found.flags.c_contiguous) == (np.uint8, True, True)
    np.testing.assert_array_equal(found, mask)


def test_the_reference_masks(shared):
    for name in ("gt_multi_480p", "osvos_multi_480p"):
        path = shared / "golden/jf" / name / "bmx-trees/00007.png"
        with Image.open(path) as image:
            np.testing.assert_array_equal(decode_quickly(path.read_bytes()), np.array(image))


def cone(height: int, width: int) -> np.ndarray:
    """Rows that are best filtered, in several ways."""
    return np.minimum(255, np.hypot(*np.ogrid[:height, :width])).astype(np.uint8)


@pytest.mark.parametrize("mask", [ids(480, 854), cone(300, 40), np.full((1, 1), 255, np.uint8)])
@pytest.mark.parametrize("options", [{}, {"transparency": 0}, {"compress_level": 0}, {"optimize": True}])
def test_grey_pngs_of_pillow_and_opencv(mask, options):
    np.testing.assert_array_equal(decode_quickly(saved(Image.fromarray(mask), **options)), mask)
    found = decode_quickly(cv2.imencode(".png", mask)[1].tobytes())
    assert (found.dtype, found.flags.writeable, found.flags.c_contiguous) == (np.uint8, True, True)
    np.testing.assert_array_equal(found, mask)


GREY, PALETTE = (3, 2, 8, 0, 0, 0, 0), (3, 2, 8, 3, 0, 0, 0)
COLOURS = chunk(b"PLTE", bytes(range(21)))
ROWS = b"\0\1\2\3\0\4\5\6"


@pytest.mark.parametrize("header", [GREY, PALETTE])
@pytest.mark.parametrize(
    "more", [[], [chunk(b"gAMA", b"\0\1\0\0")], [chunk(b"sBIT", b"\4")], [chunk(b"tRNS", b"\0\2")]]
)
def test_several_parts_and_chunks_and_trailing_bytes(header, more):
    colours = [COLOURS] if header == PALETTE else []
    data = png(header, ROWS, *colours, *more, parts=4) + b"more"
    assert decode_quickly(data).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        SIGNATURE,
        b"hello",
        saved(Image.fromarray(ids(8, 8)).convert("RGB")),
        saved(Image.fromarray(ids(8, 8) > 99)),
        saved(Image.fromarray(ids(8, 8).astype(np.uint16))),
        palette_png(ids(8, 8) % 4, bits=2),
        palette_png(ids(8, 8) % 4, bits=4),
        png(PALETTE, b"\0\1\2\3\1\4\5\6", COLOURS),  # the second row is filtered
        png((3, 2, 8, 3, 0, 0, 1), ROWS, COLOURS),  # interlaced
        png((3, 2, 8, 0, 0, 0, 1), ROWS),
        png(GREY, ROWS[:-1]),
        png(PALETTE, ROWS[:-1], COLOURS),
        png(PALETTE, ROWS + b"\0", COLOURS),
        png((3, 0, 8, 0, 0, 0, 0), b""),
        png((2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0), ROWS),
        png((2**25, 1, 8, 0, 0, 0, 0), ROWS),
    ],
)
def test_any_other_file_is_left_to_pillow(data):
    assert decode_quickly(data) is None


@pytest.mark.parametrize("data", [palette_png(ids(5, 4), bits=8), saved(Image.fromarray(cone(9, 9)))])
def test_a_file_that_is_cut_off_or_has_a_wrong_byte_anywhere_is_left_to_pillow(data):
    assert decode_quickly(data) is not None
    assert all(decode_quickly(data[:end]) is None for end in range(len(data)))
    for at in range(len(data)):
        wrong = bytearray(data)
        wrong[at] ^= 1 << at % 8
        assert decode_quickly(bytes(wrong)) is None, at


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("mode", ["P", "L"])
def test_both_ways_give_the_ids_as_they_are(bits, mode, tmp_path):
    mask = ids(20, 30) & (2**bits - 1)
    data = palette_png(mask, bits=bits) if mode == "P" else saved(Image.fromarray(mask))
    (tmp_path / "mask.png").write_bytes(data)
    np.testing.assert_array_equal(read_ids(tmp_path / "mask.png"), mask)


def test_read_ids_keeps_a_255_beside_0(tmp_path):
    for name, image in {
        "grey": Image.fromarray(np.array([[0, 255]], np.uint8)),
        "bits": Image.new("1", (1, 1), 1),
    }.items():
        image.save(tmp_path / f"{name}.png")
    assert read_ids(tmp_path / "grey.png").tolist() == [[0, 255]]
    assert read_ids(tmp_path / "bits.png").tolist() == [[255]]
