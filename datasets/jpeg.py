"""What the headers of a JPEG tell before it is decoded: how large it is, and damage that decoders say nothing of.

A file is damaged where its data end too early, and where a disk left a hole of zeros in them. Decoders make grey or
noise of both. The hole shows in files whose code for luminance takes zeros for coefficients without end, as the
standard's own code does, which most programs write: no picture has as many. In a file with a code of its own, or a
progressive one, a run of zeros may be a flat area, and nobody can tell; nor can bytes that a disk changed be found.
Source: ITU-T T.81, annexes B and K.3.
"""

import struct
from dataclasses import dataclass

SIGNATURE, END = b"\xff\xd8", b"\xff\xd9"
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that start a frame; it has the size
SEQUENTIAL = (0xC0, 0xC1)
TABLES, SCAN = 0xC4, 0xDA
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without content
HOLE = bytes(64)


@dataclass(frozen=True)
class Header:
    """size: (H, W) before it is turned; scan: where the coded pixels begin; filled: whether zeros fill blocks."""

    size: tuple[int, int]
    scan: int
    filled: bool


def read_header(data: bytes) -> Header | None:
    """Of a whole JPEG or its beginning; None where that ends too early or markers are not where they should be."""
    at, frame = 2, b""
    tables: dict[int, int] = {}
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker in FRAMES:
            kind, frame = marker, body
        elif marker == TABLES:
            tables |= _shortest_codes(body)
        elif marker == SCAN:
            if len(frame) < 6 or len(body) < 3:
                return None
            interleaved = body[0] == frame[5]
            zeros = tables.get(0x10 | body[2] & 15, 0)  # what they mean in the code of the first component
            filled = kind in SEQUENTIAL and interleaved and zeros & 15 > 0
            return Header(struct.unpack_from(">HH", frame, 1), at + 2 + length, filled)
        at += 2 + max(length, 2)
    return None


def damage(data: bytes, header: Header) -> str:
    """What is wrong with a JPEG, in words; "" where nothing shows."""
    if data.find(END, -64) < 0 and data.find(END, header.scan) < 0:
        return "it is cut off"
    hole = data.find(HOLE, header.scan) if header.filled else -1
    return "it has a hole of zeros" if hole >= 0 and data.find(END, header.scan, hole) < 0 else ""


def _shortest_codes(body: bytes) -> dict[int, int]:
    """{class and number of a table: the symbol of its shortest code, which is all zeros}."""
    found, at = {}, 0
    while at + 17 < len(body):
        found[body[at]] = body[at + 17]
        at += 17 + sum(body[at + 1 : at + 17])
    return found
