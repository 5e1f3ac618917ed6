"""A still becomes a clip: masks follow the objects, ids stay, the same seed gives the same clip."""

import numpy as np
import pytest

from datasets.synthesis import DEFAULT, Pasted, Synthesis, fill_hole, synthesize_clip


def still(ids=(1, 2), height=120, width=160):
    """Bright discs on a dark ground, side by side; the ground has a little texture."""
    ys, xs = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.uint8)
    for k, object_id in enumerate(ids):
        centre = (k + 0.5) * width / len(ids)
        mask[(ys - height / 2) ** 2 + (xs - centre) ** 2 < (0.2 * height) ** 2] = object_id
    image = np.where(mask > 0, 230, 20 + 10 * ((xs // 8 + ys // 8) % 2))
    return np.repeat(image[:, :, None], 3, axis=2).astype(np.uint8), mask


def clips(count=20, partner=None, other=None, length=3, size=96, motion=1.5, settings=DEFAULT, **options):
    for seed in range(count):
        yield synthesize_clip(
            *still(**options),
            length,
            size,
            np.random.default_rng(seed),
            partner=partner,
            other=other,
            motion=motion,
            settings=settings,
        )


def test_shapes_and_types_and_the_same_seed_gives_the_same_clip():
    image, mask = still()
    one, again, other = (
        synthesize_clip(image, mask, 4, 64, np.random.default_rng(seed), partner=still((1,))) for seed in (5, 5, 6)
    )
    assert one[0].shape == (4, 64, 64, 3)
    assert one[1].shape == (4, 64, 64)
    assert one[0].dtype == one[1].dtype == np.uint8
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])
    assert not np.array_equal(one[0], other[0])


@pytest.mark.parametrize("partner", [None, still((1,), 60, 60)])
def test_masks_follow_the_bright_objects_in_every_frame(partner, monkeypatch):
    sharp = Synthesis(occluder=0, smear=0)  # an occluder's texture is as bright as the objects
    monkeypatch.setattr("datasets.synthesis.visible_objects", lambda mask: np.arange(1, 255))  # drop none
    overlaps = []
    for frames, masks in clips(partner=partner, settings=sharp):
        for frame, mask in zip(frames, masks, strict=True):
            bright, found = frame.mean(axis=2) > 125, mask > 0
            overlaps.append((bright & found).sum() / max(1, (bright | found).sum()))
    # A partner brings some of its dark ground along the edge; half a pixel of edge costs a few per cent.
    assert min(overlaps) > 0.85
    assert np.mean(overlaps) > 0.95


def test_ids_are_kept_and_those_of_the_partner_come_after_them():
    seen = {object_id for _, masks in clips(ids=(3, 7)) for object_id in np.unique(masks).tolist()}
    assert seen == {0, 3, 7}
    partner = still((1, 5), 60, 60)
    seen = {object_id for _, masks in clips(ids=(3, 7), partner=partner) for object_id in np.unique(masks).tolist()}
    assert seen == {0, 3, 7, 8, 12}


def test_an_object_absent_from_the_first_frame_is_background_in_all():
    dropped = 0
    for _, masks in clips(count=40, ids=(1, 2, 3, 4)):
        first = set(np.unique(masks[0]))
        assert set(np.unique(masks)) == first
        dropped += len(first) < 5
    assert dropped > 0


def test_void_and_ids_without_room_become_background():
    image, mask = still((1, 255))
    masks = [synthesize_clip(image, mask, 2, 64, np.random.default_rng(seed))[1] for seed in range(5)]
    assert set(np.unique(masks)) == {0, 1}
    image, mask = still((200,))
    partner = still((100,))
    for seed in range(5):
        masks = synthesize_clip(image, mask, 2, 64, np.random.default_rng(seed), partner=partner)[1]
        assert set(np.unique(masks)) <= {0, 200}


def test_no_motion_keeps_the_masks_still_and_more_motion_moves_them_further():
    def change(motion):
        clips = (synthesize_clip(*still(), 3, 64, np.random.default_rng(k), motion=motion)[1] for k in range(20))
        return np.mean([(masks[0] != masks[2]).mean() for masks in clips])

    assert change(0.0) == 0
    assert 0 < change(0.5) < change(1.0) < change(2.0)


def test_an_image_without_objects_gives_empty_masks():
    image, mask = still(())
    frames, masks = synthesize_clip(image, mask, 3, 64, np.random.default_rng(0), partner=(image, mask))
    assert frames.any()
    assert not masks.any()


def test_a_hole_is_filled_from_around_it_and_the_rest_is_left_alone():
    image = np.full((60, 80, 3), 100, np.uint8)
    hole = np.zeros((60, 80), bool)
    hole[20:40, 30:60] = True
    image[hole] = 255
    assert np.abs(fill_hole(image, hole).astype(int) - 100).max() <= 1
    textured = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    far = np.ones((60, 80), bool)
    far[14:46, 24:66] = False
    np.testing.assert_array_equal(fill_hole(textured, hole)[far], textured[far])
    assert fill_hole(textured, np.ones((60, 80), bool)).shape == (60, 80, 3)


WHITE = np.full((90, 90, 3), 255, np.uint8)


def test_objects_that_are_cut_out_stand_in_front_of_another_scene():
    settings = Synthesis(cut_out=1, new_scene=1, occluder=0, smear=0, compressed=0)
    for frames, masks in clips(other=(WHITE, np.zeros((90, 90), np.uint8)), settings=settings):
        assert (frames[masks == 0] > 150).mean() > 0.9  # of the still's own dark ground a rim is left
        assert set(np.unique(masks)) <= {0, 1, 2}


def test_another_photos_objects_hide_what_they_pass_without_being_objects():
    """The still is dark: what is white is the occluder."""
    settings = Synthesis(occluder=1, smear=0, compressed=0)
    image, mask = still()
    everything = np.full((90, 90), 7, np.uint8)
    hidden = 0
    for seed in range(20):
        frames, masks = synthesize_clip(
            image // 4, mask, 3, 64, np.random.default_rng(seed), other=(WHITE, everything), settings=settings
        )
        white = frames.min(axis=3) > 150
        assert white.any()
        assert (masks[white] > 0).mean() < 0.01  # along its edge
        hidden += white.sum()
    assert hidden > 0.05 * 20 * 3 * 64 * 64


def test_what_moves_fast_is_smeared_and_masks_are_not():
    def sharpness(settings):
        found = [
            np.abs(np.diff(frame.astype(float), axis=1)).max(1).mean()
            for frames, _ in clips(motion=4.0, settings=settings)
            for frame in frames
        ]
        return np.mean(found)

    still_sharp, smeared = (Synthesis(occluder=0, compressed=0, smear=rate) for rate in (0, 1))
    assert sharpness(smeared) < 0.8 * sharpness(still_sharp)
    assert {i for _, masks in clips(settings=smeared) for i in np.unique(masks).tolist()} == {0, 1, 2}


def test_compression_changes_colours_alone():
    plain, compressed = (list(clips(settings=Synthesis(compressed=rate, smear=0))) for rate in (0, 1))
    for (frames, masks), (squeezed, same) in zip(plain, compressed, strict=True):
        np.testing.assert_array_equal(masks, same)
        assert not np.array_equal(frames, squeezed)


def test_pasted_objects_stay_on_a_video_with_exact_masks():
    frame, sharp = np.full((60, 100, 3), 90, np.uint8), Synthesis(smear=0, limbs=0)
    moving = Pasted((60, 100), [still((1,)), still((3,))], np.random.default_rng(2), sharp)
    shown = [moving.on(frame, t) for t in range(60)]
    assert {*np.unique(shown[0][1])} == {0, 1, 2}
    assert all(masks.any() for _, masks in shown)
    for seen, masks in shown:
        inside, outside = seen.mean(axis=2)[masks > 0], seen.mean(axis=2)[masks == 0]
        assert np.mean(inside > 125) > 0.9 and np.mean(outside == 90) > 0.8
    np.testing.assert_array_equal(shown[0][0], moving.on(frame, 46)[0])  # there and back in 2 * 23 frames
    assert not np.array_equal(shown[0][1], shown[10][1])


def test_pasting_nothing_says_so():
    image, _ = still()
    with pytest.raises(ValueError, match="no object of these pictures shows"):
        Pasted((60, 100), [(image, np.zeros(image.shape[:2], np.uint8))], np.random.default_rng(0))
