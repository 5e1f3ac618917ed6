"""Images that somebody damaged, or made to do damage: an array or a DataError that names the file, nothing else."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from generated import OFTEN
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from datasets import images, jpeg
from datasets.errors import DataError
from datasets.images import davis_palette, frame_size, read_drawn_mask, read_frame, read_ids

SIDES = 40, 56  # height, width


def picture(height: int = SIDES[0], width: int = SIDES[1]) -> Image.Image:
    """Smooth, with some noise: as photos are."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 30, (height, width, 3))
    return Image.fromarray((np.stack([x, y, x + y], 2) % 200 + noise).astype(np.uint8))


def saved(image: Image.Image, form: str, **options) -> bytes:
    image.save(file := io.BytesIO(), form, **options)
    return file.getvalue()


def palette() -> Image.Image:
    image = Image.fromarray(np.tri(*SIDES, dtype=np.uint8) * 3)
    image.putpalette(davis_palette())
    return image


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[ExifTags.Base.Orientation] = orientation
    return found


XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
WHOLE = {
    "jpeg": saved(picture(), "JPEG"),
    "turned": saved(picture(), "JPEG", exif=exif(6)),
    "progressive": saved(picture(), "JPEG", progressive=True, optimize=True),
    "grey jpeg": saved(picture().convert("L"), "JPEG"),
    "png": saved(picture(), "PNG"),
    "palette": saved(palette(), "PNG"),
    "grey": saved(palette().convert("L"), "PNG"),
    "deep": saved(Image.fromarray(np.eye(*SIDES, dtype=np.uint16)), "PNG"),
    "bits": saved(palette().convert("1"), "PNG"),
    "transparent": saved(picture().convert("RGBA"), "PNG"),
    "gif": saved(palette(), "GIF"),
    "bmp": saved(picture(), "BMP"),
    "tiff": saved(picture(), "TIFF"),
    "webp": saved(picture(), "WEBP"),
}


@st.composite
def damaged(draw) -> bytes:
    """An image with some bytes changed, put in, taken out or zeroed, or cut off; or bytes that are none."""
    data = bytearray(draw(st.one_of(st.sampled_from(list(WHOLE.values())), st.binary(max_size=64))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        kind, some = draw(st.sampled_from("cpzoe")), draw(st.binary(min_size=1, max_size=4))
        if kind == "c":  # change
            data[at : at + len(some)] = some
        elif kind == "p":  # put in
            data[at:at] = some
        elif kind == "z":  # zero
            data[at : at + 64] = bytes(len(data[at : at + 64]))
        elif kind == "o":  # take out
            del data[at : at + draw(st.integers(1, 64))]
        else:  # end
            del data[at:]
    return bytes(data)


@OFTEN
@given(data=damaged(), name=st.sampled_from(["0.jpg", "0.png"]))
def test_any_bytes_are_an_image_or_an_error_that_names_the_file(data, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(data)
    shapes = {}
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # of Pillow, about what it met
        patch.setattr(images, "MAX_PIXELS", 2**16)  # a size that somebody changed takes no time
        for read in (read_frame, read_ids, read_drawn_mask, frame_size):
            try:
                found = read(path)
            except DataError as error:
                assert str(path) in str(error)
            else:
                shapes[read] = found if read is frame_size else found.shape[:2]
                assert read is frame_size or found.dtype == np.uint8
    assert shapes.get(read_frame) in (None, shapes.get(frame_size, shapes.get(read_frame)))


@pytest.mark.parametrize("kind", ["jpeg", "turned", "progressive", "grey jpeg", "png", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("name", ["0.jpg", "0.png"])
def test_what_a_frame_is_its_content_says_and_not_its_name(kind, name, tmp_path):
    (tmp_path / name).write_bytes(WHOLE[kind])
    size = SIDES[::-1] if kind == "turned" else SIDES
    assert read_frame(tmp_path / name).shape == (*size, 3)
    assert frame_size(tmp_path / name) == size


@pytest.mark.parametrize("read", [read_ids, read_drawn_mask])
@pytest.mark.parametrize("kind", ["jpeg", "grey jpeg"])
def test_no_jpeg_is_a_mask_whatever_it_is_called(read, kind, tmp_path):
    (tmp_path / "0.png").write_bytes(WHOLE[kind])
    with pytest.raises(DataError, match=r"0\.png is a JPEG, which blurs object ids: save it as PNG"):
        read(tmp_path / "0.png")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_decoded_frame_however_a_phone_was_held(form, orientation, tmp_path):
    path = tmp_path / "0.jpg"
    path.write_bytes(saved(picture(), form, exif=exif(orientation)))
    assert frame_size(path) == read_frame(path).shape[:2]


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_xmp_turns_nothing(form, tmp_path):
    path = tmp_path / "0.jpg"
    path.write_bytes(saved(picture(), form, xmp=XMP))
    with Image.open(path) as image:
        assert image.getexif()[ExifTags.Base.Orientation] == 6  # Pillow would
    assert frame_size(path) == read_frame(path).shape[:2] == SIDES


def huge_png(side: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 3, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    colours = chunk(b"PLTE", bytes(3))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + colours + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def huge_jpeg(side: int) -> bytes:
    data = bytearray(WHOLE["jpeg"])
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


@pytest.mark.parametrize("data", [huge_png(20_000), huge_jpeg(20_000)], ids=["png", "jpeg"])
@pytest.mark.parametrize("read", [read_frame, frame_size, read_ids, read_drawn_mask])
def test_an_image_that_would_fill_the_memory_is_refused_by_its_header(data, read, tmp_path):
    (tmp_path / "0.png").write_bytes(data)
    with pytest.raises(DataError, match=r"0\.png (has .*pixels.*scale it down|is a JPEG)"):
        read(tmp_path / "0.png")


def test_a_hole_of_zeros_in_a_jpeg_is_damage(tmp_path):
    data = bytearray(saved(picture(240, 320), "JPEG", quality=95))
    header = jpeg.read_header(data)
    assert header.size == (240, 320)
    for at in range(header.scan + 1, len(data) - 600, len(data) // 12):
        holed = bytes(data[:at] + bytes(512) + data[at + 512 :])
        (tmp_path / "0.jpg").write_bytes(holed)
        with pytest.raises(DataError, match=r"cannot read the image .*0\.jpg.*hole of zeros.*fetch it again"):
            read_frame(tmp_path / "0.jpg")


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"progressive": True}, {"quality": 100}, {"subsampling": 0}]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_flat_pictures_have_no_hole(options, mode, tmp_path):
    """Their codes may be zeros, too, one after the other, where a program chose its own."""
    flat = Image.new(mode, (1200, 900))
    flat.paste(picture().convert(mode), (300, 300))
    padded = saved(flat, "JPEG", comment=bytes(1000), **options) + bytes(
        1000
    )  # nor do zeros beside the pixels count
    (tmp_path / "0.jpg").write_bytes(padded)
    assert read_frame(tmp_path / "0.jpg").shape == (900, 1200, 3)


def test_a_jpeg_that_is_cut_off_behind_a_whole_thumbnail_is_damaged(tmp_path: Path):
    data = saved(picture(), "JPEG", comment=saved(picture(16, 16), "JPEG"))
    assert data.count(b"\xff\xd9") > 1
    (tmp_path / "0.jpg").write_bytes(data[:-200])
    with pytest.raises(DataError, match=r"0\.jpg.*damaged.*cut off"):
        read_frame(tmp_path / "0.jpg")
