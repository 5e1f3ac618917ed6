"""First masks of clips that have none: objects pasted on, and what SAM proposes."""

import numpy as np
import pytest
import torch

from bench.score import first_masks
from bench.score.first_masks import given, pasted, proposed
from datasets.images import write_mask
from datasets.static import StaticImage
from datasets.unlabelled import open_unlabelled
from methods.sam.predictor import Proposals


@pytest.fixture
def clip(tiny_davis):
    return open_unlabelled(tiny_davis / "JPEGImages/480p")[0]


@pytest.fixture
def stills(tiny_davis):
    frames, masks = (tiny_davis / kind / "480p/train-001" for kind in ("JPEGImages", "Annotations"))
    return [StaticImage(f"s/{t}", frames / f"{t:05d}.jpg", masks / f"{t:05d}.png") for t in range(3)]


def test_a_mask_that_exists_starts_on_the_frames_as_they_are(tiny_davis):
    clip = open_unlabelled(tiny_davis)[0]
    start = given(clip)
    assert start.how == "mask" and start.exact is None
    np.testing.assert_array_equal(start.frame(2), clip.frame(2))


def test_pasted_objects_lie_where_their_masks_say_and_move(clip, stills):
    start = pasted(clip, stills, seed=0)
    assert start.how == "pasted" and start.mask.any()
    np.testing.assert_array_equal(start.mask, start.exact(0))
    for t in range(3):
        changed = (start.frame(t) != clip.frame(t)).any(2)
        assert changed[start.exact(t) > 0].mean() > 0.8
    assert not np.array_equal(start.exact(0), start.exact(4))


def test_what_is_pasted_depends_on_the_seed_and_the_clip_alone(clip, stills):
    one, same, other = (pasted(clip, stills, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.frame(3), same.frame(3))
    assert not np.array_equal(one.mask, other.mask)


def test_images_whose_objects_do_not_show_start_nothing(clip, stills, tmp_path):
    write_mask(tmp_path / "empty.png", np.zeros((48, 64)))
    empty = [StaticImage(one.name, one.image, tmp_path / "empty.png") for one in stills]
    assert pasted(clip, empty, seed=0) is None


def test_the_surest_proposals_of_a_fit_size_that_do_not_overlap_are_taken(clip, monkeypatch):
    masks = torch.zeros(5, 48, 64, dtype=torch.bool)
    masks[0] = True  # all of the frame
    masks[1, 4:20, 4:20] = True
    masks[2, 5:20, 5:20] = True  # most of the one before
    masks[3, :2, :2] = True  # too small
    masks[4, 30:40, 30:50] = True
    empty = torch.zeros(5)
    monkeypatch.setattr(first_masks, "Predictor", lambda sam: sam)
    monkeypatch.setattr(first_masks, "segment_everything", lambda *_, **__: Proposals(masks, *[empty] * 4))
    mask = proposed(clip, object(), 2, "cpu").mask
    assert (mask == 1).sum() == 256 and (mask == 2).sum() == 200
    assert (proposed(clip, object(), 1, "cpu").mask == 2).sum() == 0
    masks[:] = False
    assert proposed(clip, object(), 2, "cpu") is None
