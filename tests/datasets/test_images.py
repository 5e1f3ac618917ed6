"""Frames, masks and static images as files: what is read back, and what is said of bad ones."""

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from datasets.errors import DataError
from datasets.images import davis_palette, frame_size, read_drawn_mask, read_frame, read_mask, write_mask
from datasets.sequence import Sequence
from datasets.static import open_static


def picture(height=24, width=32):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_palette_is_the_one_of_pascal_voc():
    palette = np.reshape(davis_palette(), (256, 3))
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 8: (64, 0, 0), 255: (224, 224, 192)}
    for index, colour in known.items():
        assert tuple(palette[index]) == colour


def test_a_mask_comes_back_as_written_with_its_colours(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_mask(tmp_path / "new" / "mask.png", mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "new" / "mask.png"), mask)
    with Image.open(tmp_path / "new" / "mask.png") as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((2, 0)) == (0, 128, 0)


def test_a_black_and_white_mask_is_one_object_and_binary_merges_all_but_void(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).save(tmp_path / "grey.png")
    assert read_mask(tmp_path / "grey.png").tolist() == [[0, 1]]
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "bits.png")
    assert read_mask(tmp_path / "bits.png").tolist() == [[0, 1]]
    write_mask(tmp_path / "ids.png", np.array([[0, 1, 7, 255]]))
    assert read_mask(tmp_path / "ids.png").tolist() == [[0, 1, 7, 255]]
    assert read_mask(tmp_path / "ids.png", binary=True).tolist() == [[0, 1, 1, 255]]


def test_a_frame_is_rgb_and_its_size_is_known_without_decoding(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "frame.png")
    np.testing.assert_array_equal(read_frame(tmp_path / "frame.png"), picture())
    assert frame_size(tmp_path / "frame.png") == (24, 32)


def test_a_phone_photo_is_turned_upright_and_so_is_its_size(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(picture()).save(tmp_path / "photo.jpg", exif=exif)
    assert read_frame(tmp_path / "photo.jpg").shape == (32, 24, 3)
    assert frame_size(tmp_path / "photo.jpg") == (32, 24)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_an_error_that_names_it(tmp_path, kept, progressive):
    path = tmp_path / "frame.jpg"
    Image.fromarray(picture()).save(path, progressive=progressive)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=r"frame\.jpg.*damaged.*fetch it again"):
        read_frame(path)


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6])
def test_a_truncated_mask_is_an_error_that_names_it(tmp_path, kept):
    path = tmp_path / "mask.png"
    write_mask(path, picture()[:, :, 0])
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(DataError, match=r"mask\.png.*damaged"):
        read_mask(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"frame not found.*0\.jpg"):
        read_frame(tmp_path / "0.jpg")
    with pytest.raises(DataError, match=r"mask not found.*0\.png"):
        read_mask(tmp_path / "0.png")


def test_a_colour_image_is_no_mask(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "colour.png")
    with pytest.raises(DataError, match=r"colour\.png.*mode RGB.*palette or grey"):
        read_mask(tmp_path / "colour.png")


def test_a_mask_of_another_size_than_its_frame_gives_both_sizes(tmp_path):
    cv2.imwrite(str(tmp_path / "0.jpg"), picture(24, 32))
    write_mask(tmp_path / "0.png", np.ones((12, 16)))
    sequence = Sequence("cat", (tmp_path / "0.jpg",), (tmp_path / "0.png",))
    with pytest.raises(DataError, match=r"0\.png is 12x16 but its frame is 24x32"):
        sequence.mask(0)


def test_a_sequence_needs_one_mask_entry_per_frame_the_first_a_file(tmp_path):
    frames = (tmp_path / "0.jpg", tmp_path / "1.jpg")
    with pytest.raises(DataError, match="cat has 2 frames but 1 masks"):
        Sequence("cat", frames, (tmp_path / "0.png",))
    with pytest.raises(DataError, match=r"cat has no mask for its first frame 0\.jpg"):
        Sequence("cat", frames, (None, None))
    with pytest.raises(DataError, match="cat has no frames"):
        Sequence("cat", (), ())


def test_objects_appear_in_frames_with_a_mask_the_first_of_them_in_the_first_frame(tmp_path):
    files = (tmp_path / "0.jpg", tmp_path / "1.jpg"), (tmp_path / "0.png", None)
    with pytest.raises(DataError, match="object 4 of sequence cat should appear in frame 1, which has no mask"):
        Sequence("cat", *files, appears={2: 0, 4: 1})
    with pytest.raises(DataError, match="object 4 of sequence cat should appear in frame 7"):
        Sequence("cat", *files, appears={4: 7})
    with pytest.raises(DataError, match=r"no object of sequence cat appears in its first frame .*0\.jpg"):
        Sequence("cat", *files, appears={})


def test_without_late_objects_the_first_frame_gives_all(tmp_path):
    cv2.imwrite(str(tmp_path / "0.jpg"), picture(2, 4))
    write_mask(tmp_path / "0.png", np.repeat([[0, 9, 2, 255]], 2, axis=0))
    sequence = Sequence("cat", (tmp_path / "0.jpg",), (tmp_path / "0.png",))
    assert sequence.given == {0: (2, 9)}
    assert sequence.given_mask(0).tolist() == [[0, 9, 2, 0]] * 2


def test_an_empty_first_mask_is_an_error_and_void_is_no_object(tmp_path):
    cv2.imwrite(str(tmp_path / "0.jpg"), picture())
    write_mask(tmp_path / "0.png", np.zeros((24, 32)))
    sequence = Sequence("cat", (tmp_path / "0.jpg",), (tmp_path / "0.png",))
    with pytest.raises(DataError, match=r"first mask of sequence cat is empty.*0\.png"):
        _ = sequence.object_ids
    write_mask(tmp_path / "0.png", np.repeat([[0, 9, 2, 255]], 24, axis=0).repeat(8, axis=1))
    assert Sequence("cat", (tmp_path / "0.jpg",), (tmp_path / "0.png",)).object_ids == (2, 9)


def write_stills(root, names):
    for name in names:
        (root / "JPEGImages" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "JPEGImages" / f"{name}.jpg"), picture())
        write_mask(root / "Annotations" / f"{name}.png", np.ones((24, 32)))


def test_stills_are_paired_by_name_or_taken_from_the_index(tmp_path):
    write_stills(tmp_path, ["birds/1", "birds/2", "cats/1"])
    assert [still.name for still in open_static(tmp_path)] == ["birds/1", "birds/2", "cats/1"]
    (tmp_path / "index.csv").write_text("id,objects\ncats/1,1\nbirds/1,1\n")
    stills = open_static(tmp_path)
    assert [still.name for still in stills] == ["cats/1", "birds/1"]
    image, mask = stills[0].read()
    assert image.shape == (24, 32, 3)
    assert mask.shape == (24, 32)


def test_linked_folders_of_stills_are_followed(tmp_path):
    write_stills(tmp_path / "elsewhere", ["birds/1", "cats/1"])
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / "all" / kind).mkdir(parents=True)
        (tmp_path / "all" / kind / "mine").symlink_to(tmp_path / "elsewhere" / kind / "birds")
    assert [still.name for still in open_static(tmp_path / "all")] == ["mine/1"]


def test_bad_folders_of_stills(tmp_path):
    with pytest.raises(DataError, match=r"no still images at .*JPEGImages/<set>"):
        open_static(tmp_path / "nowhere")
    write_stills(tmp_path, ["cats/1", "cats/2"])
    write_mask(tmp_path / "Annotations" / "cats" / "2.png", np.ones((5, 5)))
    with pytest.raises(DataError, match=r"2\.png is 5x5 but its image is 24x32"):
        open_static(tmp_path)[1].read()
    (tmp_path / "index.csv").write_text("id\ncats/3\n")
    with pytest.raises(DataError, match=r"image not found: .*cats/3\.jpg"):
        open_static(tmp_path)
    (tmp_path / "index.csv").write_text("file\ncats/1\n")
    with pytest.raises(DataError, match=r"index\.csv has no column id"):
        open_static(tmp_path)
    (tmp_path / "index.csv").unlink()
    (tmp_path / "JPEGImages" / "cats" / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"image not found: .*cats/1\.jpg"):
        open_static(tmp_path)


def test_the_reference_stills_open(shared):
    stills = open_static(shared / "data" / "static-240p")
    assert len(stills) == 1533
    image, mask = stills[0].read()
    assert (stills[0].name, image.dtype, mask.max()) == ("bsds500/100075", np.uint8, 2)


def drawn(path, *colours, background=(0, 0, 0), mode="RGB"):
    """A row of squares of these colours."""
    image = np.full((10, 10 * len(colours), len(background)), background, np.uint8)
    for place, colour in enumerate(colours):
        image[2:8, 10 * place + 2 : 10 * place + 8] = colour
    Image.fromarray(image, mode).save(path)


def ids_of(path) -> list[int]:
    """The ids of the squares."""
    mask = read_drawn_mask(path)
    assert mask.dtype == np.uint8
    assert (mask[:2] == 0).all()
    return mask[5, 5::10].tolist()


def test_a_drawn_mask_may_be_ids_or_black_and_white(tmp_path):
    mask = np.zeros((10, 20), np.uint8)
    mask[2:8, 2:8], mask[2:8, 12:18] = 7, 255
    write_mask(tmp_path / "palette.png", mask)
    Image.fromarray(mask).save(tmp_path / "grey.png")
    Image.fromarray(mask // 255 * 255).save(tmp_path / "white.png")
    assert ids_of(tmp_path / "palette.png") == ids_of(tmp_path / "grey.png") == [7, 0], "255 beside ids is void"
    assert ids_of(tmp_path / "white.png") == [0, 1]


def test_every_colour_of_a_drawn_mask_is_an_object(tmp_path):
    drawn(tmp_path / "davis.png", (0, 128, 0), (64, 0, 0))
    assert ids_of(tmp_path / "davis.png") == [2, 8], "the ids that DAVIS gives these colours"
    drawn(tmp_path / "own.png", (255, 255, 255), (0, 0, 9), (64, 0, 0), (0, 0, 9))
    assert ids_of(tmp_path / "own.png") == [3, 1, 2, 1]
    drawn(tmp_path / "clear.png", (250, 0, 0, 255), background=(250, 0, 0, 0), mode="RGBA")
    assert ids_of(tmp_path / "clear.png") == [1], "what is transparent is background"


def test_drawings_that_are_no_masks_are_named(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "photo.png")
    with pytest.raises(DataError, match=r"photo\.png has \d+ colours: draw each object in one flat colour"):
        read_drawn_mask(tmp_path / "photo.png")
    drawn(tmp_path / "blurred.jpg", (255, 255, 255))
    with pytest.raises(DataError, match=r"blurred\.jpg is a JPEG, which blurs object ids: save it as PNG"):
        read_drawn_mask(tmp_path / "blurred.jpg")
    drawn(tmp_path / "black.png", (0, 0, 0))
    with pytest.raises(DataError, match=r"black\.png is empty"):
        read_drawn_mask(tmp_path / "black.png")
    with pytest.raises(DataError, match=r"mask not found: .*gone\.png"):
        read_drawn_mask(tmp_path / "gone.png")
