"""Reading and writing frames and masks.

Frames go through OpenCV (the fastest JPEG decoder at hand); masks go through `datasets.png` where that will
do and else through Pillow, because OpenCV expands palettes to colours and so destroys the object ids. What a file
is, its content says and not its name. Frames are turned as their EXIF says, as OpenCV does; XMP turns nothing.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from datasets import jpeg, png
from datasets.errors import DataError
from datasets.files import check_regular, read_file

VOID = 255  # the field's label of pixels of which nobody says what they show
MAX_OBJECT_ID = VOID - 1
MAX_PIXELS = 178_956_970  # of an image: Pillow's own limit; decoded, each takes three bytes and more
MAX_COLOURS = 32  # of a drawn mask: more are those of smoothed edges
_ONE_OBJECT = np.array([0, *[1] * MAX_OBJECT_ID, VOID], np.uint8)


def davis_palette() -> list[int]:
    """The 256-colour palette of DAVIS and PASCAL VOC, flat (768,) 0..255: bit-interleaved ids."""
    ids, bits = np.arange(256)[:, None], np.arange(8)
    channels = [((ids >> 3 * bits + channel & 1) << 7 - bits).sum(axis=1) for channel in range(3)]
    return np.stack(channels, axis=1).ravel().tolist()


def read_frame(path: Path) -> np.ndarray:
    """Read an image as uint8 (H, W, 3) RGB.

    Raises DataError, naming it, when it is absent, no image, damaged as far as that shows (see datasets.jpeg), or
    of more than MAX_PIXELS.
    """
    data = read_file(path, "frame")
    header = jpeg.read_header(data) if data.startswith(jpeg.SIGNATURE) else None
    why = jpeg.damage(data, header) if header else ""
    _check_pixels(path, header.size if header else _size_of(path, data))
    try:
        image = None if why else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        found = f"it is damaged or no JPEG/PNG{why and f' ({why})'}"
        raise DataError(f"cannot read the image {path}: {found}; fetch it again")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def frame_size(path: Path) -> tuple[int, int]:
    """(H, W) of an image file as `read_frame` gives it (turned as its EXIF says), from its header alone."""
    check_regular(path, "frame")
    with _told(path, "image", "JPEG/PNG"), Image.open(path) as image:
        width, height = image.size
        for key in ("xmp", "XML:com.adobe.xmp"):  # where Pillow would look next
            image.info.pop(key, None)
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # 5..8 swap the two axes
        turned &= image.format != "TIFF"  # whose size Pillow has turned already
        return (width, height) if turned else (height, width)


def _size_of(path: Path, data: bytes) -> tuple[int, int]:
    """(H, W) of an image that is no JPEG, or one with damaged headers."""
    if data.startswith(png.SIGNATURE) and len(data) > 24:
        width, height = struct.unpack_from(">II", data, 16)
        return height, width
    with _told(path, "image", "JPEG/PNG"), Image.open(BytesIO(data)) as image:
        return image.height, image.width


def _check_pixels(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        pixels = f"{size[0]}x{size[1]} pixels (height x width)"
        raise DataError(f"{path} has {pixels}, more than the {MAX_PIXELS} that are read: scale it down")


@contextmanager
def _told(path: Path, what: str, kind: str) -> Iterator[None]:
    """Whatever Pillow raises of a file as a DataError that names it."""
    try:
        yield
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{path} has more than the {MAX_PIXELS} pixels that are read: scale it down") from None
    except Exception as error:  # beside OSError and SyntaxError what its decoders stumble on
        why = "" if isinstance(error, UnidentifiedImageError) else f" ({error})"
        raise DataError(f"cannot read the {what} {path}: it is damaged or no {kind}{why}; fetch it again") from None


def read_mask(path: Path, binary: bool = False) -> np.ndarray:
    """Read a mask as uint8 (H, W) object ids, 0 = background.

    As `read_ids`, except that a mask whose only values are 0 and 255 (DAVIS 2016) is an object 1, not void.
    `binary` merges all ids into 1 (255 stays void when other ids are there too).
    """
    mask = read_ids(path)
    if is_two_valued(mask):
        mask &= 1
    return merge_ids(mask) if binary else mask


def check_size(
    what: str, size: tuple[int, ...], of: str, due: tuple[int, ...], advice: str = "resize one to match the other"
) -> None:
    """Raise DataError when the size (H, W) of `what` is not the one that is due, that `of` something else."""
    if size != due:
        sizes = f"{what} is {size[0]}x{size[1]} but {of} is {due[0]}x{due[1]} (height x width)"
        raise DataError(f"{sizes}: {advice}")


def read_ids(path: Path) -> np.ndarray:
    """Read a mask as its file has it, uint8 (H, W): the indices of a palette PNG, the values of a grey one.

    The two values of a black and white image are 0 and 255. Raises DataError when the file is absent, damaged,
    a colour image or a JPEG, or holds an id above 255.
    """
    data = read_file(path, "mask")
    mask = png.decode_quickly(data)
    if mask is not None:
        return mask
    if data.startswith(jpeg.SIGNATURE):
        raise DataError(f"the mask {path} is a JPEG, which blurs object ids: save it as PNG")
    with _told(path, "mask", "PNG"), Image.open(BytesIO(data)) as image:
        _check_pixels(path, (image.height, image.width))
        mode = image.mode
        mask = np.array(image.convert("L") if mode == "1" else image)
    if mode.startswith("I"):
        if mask.max(initial=0) > VOID:
            found = f"the mask {path} has object id {mask.max()}"
            raise DataError(f"{found} above the limit of {MAX_OBJECT_ID}: renumber its objects")
        mask, mode = mask.astype(np.uint8), "L"
    if mode not in ("P", "L", "1"):
        found = f"the mask {path} is no palette or 8-bit grey image (mode {mode})"
        raise DataError(f"{found}; save object ids as a palette or grey PNG")
    return mask


def read_drawn_mask(path: Path) -> np.ndarray:
    """Read a mask that somebody drew as uint8 (H, W) object ids, 0 = background; there is no void.

    As `read_mask`, and of a colour image every colour but black is an object: with its id where all colours
    are those of DAVIS, else 1, 2, ... in the order of (red, green, blue). What is transparent is background.
    Raises DataError as `read_ids` does, for a JPEG, for more than 32 colours and for a mask without an object.
    """
    ids = _read_colours(path)
    if ids is None:
        ids = read_mask(path)
    ids = np.where(ids == VOID, 0, ids).astype(np.uint8)
    if not ids.any():
        raise DataError(f"the mask {path} is empty: draw every object with a value (or colour) of its own")
    return ids


def _read_colours(path: Path) -> np.ndarray | None:
    """The ids of a colour image's colours; None for any other image."""
    data = read_file(path, "mask")
    with _told(path, "mask", "PNG"), Image.open(BytesIO(data)) as image:
        if data.startswith(jpeg.SIGNATURE) or image.mode not in ("RGB", "RGBA"):
            return None
        _check_pixels(path, (image.height, image.width))
        red, green, blue, alpha = np.moveaxis(np.array(image.convert("RGBA"), np.int64), 2, 0)
    codes = np.where(alpha > 0, red << 16 | green << 8 | blue, 0)
    found = np.unique(codes[codes > 0])
    if len(found) > MAX_COLOURS:
        flat = f"draw each object in one flat colour, without smoothed edges (at most {MAX_COLOURS} objects)"
        raise DataError(f"the mask {path} has {len(found)} colours: {flat}, or save object ids as a palette PNG")
    palette = (np.array(davis_palette()).reshape(256, 3) @ [1 << 16, 1 << 8, 1]).tolist()
    own = set(found.tolist()) <= set(palette)
    ids = map(palette.index, found.tolist()) if own else range(1, len(found) + 1)
    return np.array([0, *ids], np.uint8)[np.searchsorted(found, codes, side="right")]


def is_two_valued(mask: np.ndarray) -> bool:
    """Whether a uint8 (H, W) mask holds 255 and beside it nothing but 0."""
    return mask.max(initial=0) == VOID and not (mask + 1 > 1).any()  # in 8 bits 255 + 1 is 0


def merge_ids(mask: np.ndarray) -> np.ndarray:
    """uint8 (H, W) with all ids merged into 1; 0 and 255 stay."""
    return cv2.LUT(mask, _ONE_OBJECT) if mask.max(initial=0) > 1 else mask


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write integer (H, W) object ids 0..255 as a palette PNG with the DAVIS colours."""
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(davis_palette())  # makes the grey image a palette image
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
