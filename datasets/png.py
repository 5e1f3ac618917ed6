"""A short cut to the object ids of a mask's file, for the two kinds of PNG that masks mostly are.

The PNG specification advises against filters for palettes, and Pillow and libpng follow it: of such a file only
zlib's inflating is left to do, which takes a third of Pillow's time. Grey ones take OpenCV two thirds of it. All
others are Pillow's.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress

import cv2
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE = [8, 0, 0, 0, 0], [8, 3, 0, 0, 0]  # bits, colour type, compression, filter method, interlacing
LARGEST = 2**26  # pixels; a damaged header may ask for any number


def decode_quickly(data: bytes) -> np.ndarray | None:
    """The pixels of an 8-bit PNG, not interlaced, that is grey or has a palette and no row filtered: uint8 (H, W).

    Those of a palette are its indices. None for every other file and for one that is damaged anywhere: every
    chunk's checksum is looked at.
    Source: Portable Network Graphics, W3C Recommendation, sections 5, 9 and 10.
    """
    if not data.startswith(SIGNATURE):
        return None
    chunks = list(_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        return None
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[0][1])
    if not 0 < width * height <= LARGEST:
        return None
    if kind == PALETTE:
        return _inflate(b"".join(body for name, body in chunks if name == b"IDAT"), height, width)
    with suppress(cv2.error):  # more than 2^20 pixels wide or high
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if kind == GREY else None
    return None


def _inflate(data: bytes, height: int, width: int) -> np.ndarray | None:
    """Rows of bytes, each after a zero, which says that the row is not filtered."""
    inflate, size = zlib.decompressobj(), height * (width + 1)
    try:
        pixels = inflate.decompress(data, size + 1)
    except zlib.error:
        return None
    if not inflate.eof or len(pixels) != size:
        return None
    rows = np.frombuffer(pixels, np.uint8).reshape(height, width + 1)
    return None if rows[:, 0].any() else rows[:, 1:].copy()


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, body) of the chunks up to IEND or the first that is cut off or does not have its checksum."""
    at, name = len(SIGNATURE), b""
    while name != b"IEND" and at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return
        yield name, data[at + 8 : end]
        at = end + 4
