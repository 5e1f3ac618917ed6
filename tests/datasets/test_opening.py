"""Opening what a configuration names: folders of one layout as one set, and mixtures."""

import shutil
from collections import Counter

import numpy as np
import pytest

from datasets.errors import DataError
from datasets.opening import open_clips, open_images, shares_to_raise
from datasets.synthesis import DEFAULT

SIZE = {"length": 2, "size": 32, "max_objects": 2, "seed": 0}


@pytest.fixture
def stills(tiny_davis, tmp_path):
    """Two folders of static images."""
    roots = []
    for video in ("train-000", "train-001"):
        for kind in ("JPEGImages", "Annotations"):
            shutil.copytree(tiny_davis / kind / "480p" / video, tmp_path / video / kind / video)
        roots.append(str(tmp_path / video))
    return roots


@pytest.fixture
def mixture(tiny_davis, stills):
    davis = {
        "name": "davis",
        "kind": "davis",
        "root": str(tiny_davis),
        "year": 2017,
        "split": "train",
        "hold_out": 0.1,
    }
    photos = {"name": "static", "kind": "static", "root": stills, "hold_out": 0.1, "synthesis": {}}
    parts = {"video": {**davis, "share": 3.0}, "photos": {**photos, "share": 1.0}}
    return {"name": "mix", "kind": "mix", "parts": parts}


def opened(node, held_out=False):
    return open_clips(node, held_out, lambda _: DEFAULT, **SIZE)


def test_folders_of_static_images_are_one_set(stills):
    node = {"name": "static", "kind": "static", "root": stills, "hold_out": 0.4}
    images, held = open_images(node), open_images(node, held_out=True)
    assert len(images) + len(held) == 10 and held
    assert {image.name.split("/")[0] for image in images} == {"train-000", "train-001"}
    alone = open_images({**node, "root": stills[0]})
    assert {image.name for image in alone} < {image.name for image in images}


def test_folders_of_videos_are_one_set(tiny_davis, tmp_path):
    other = shutil.copytree(tiny_davis, tmp_path / "other")
    (other / "ImageSets/2017/train.txt").write_text("moved\n")
    for kind in ("JPEGImages", "Annotations"):
        (other / kind / "480p/train-000").rename(other / kind / "480p/moved")
    node = {"name": "davis", "kind": "davis", "root": [str(tiny_davis), str(other)], "year": 2017, "split": "train"}
    names = {video.name for video in opened({**node, "hold_out": 0}).videos}
    assert names == {"train-000", "train-001", "moved"}
    with pytest.raises(DataError, match="two sequences of .* are called train-000"):
        opened({**node, "root": [str(tiny_davis)] * 2})


def test_parts_are_drawn_by_their_shares_however_much_they_hold(mixture):
    source = opened(mixture)
    drawn = Counter()
    for number in range(400):
        rng = np.random.default_rng([0, number, 1])
        drawn[type(source.sources[rng.choice(2, p=source.shares)]).__name__] += 1
    assert source.shares.tolist() == [0.25, 0.75]  # in order of their names: photos, video
    assert 260 < drawn["VideoClips"] < 340


def test_a_mixture_depends_on_the_seed_and_the_number_alone_not_on_the_order_of_its_parts(mixture):
    turned = {**mixture, "parts": dict(reversed(mixture["parts"].items()))}
    first, second = opened(mixture), opened(turned)
    first.clip(3, 5)
    for one, other in zip(first.clip(7, 5), second.clip(7, 5), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_part_is_split_and_one_without_a_held_out_share_is_not_chosen_on(mixture):
    learnt, held = opened(mixture), opened(mixture, held_out=True)
    (photos, video), (held_photos, held_video) = learnt.sources, held.sources
    assert {s.name for s in video.videos}.isdisjoint(s.name for s in held_video.videos) and held_video.videos
    assert {s.name for s in photos.stills}.isdisjoint(s.name for s in held_photos.stills) and held_photos.stills
    mixture["parts"]["photos"]["hold_out"] = 0
    assert {s.name for s in opened(mixture, held_out=True).videos} == {s.name for s in held_video.videos}
    assert len(opened(mixture).sources[0].stills) == 10


def test_a_source_moves_at_its_own_pace_in_what_is_held_out(mixture):
    held = opened(mixture, held_out=True)
    skips = []
    for source in held.sources:
        source.draw = lambda rng, max_skip, draw=source.draw: skips.append(max_skip) or draw(rng, max_skip)
    for number in range(20):
        held.clip(number)
    assert set(skips) == {1, 10}


def test_a_mixture_has_no_images(mixture):
    with pytest.raises(DataError, match="training 'mix' mixes clips, not images"):
        open_images(mixture)


def test_one_folder_of_several_is_found_among_those_evaluated_on():
    evaluated = {"kind": "static", "fingerprint": "b", "hold_out": 0.2}
    assert shares_to_raise(evaluated, {"kind": "static", "fingerprint": "a+b", "hold_out": 0.1}) == {
        "hold_out": 0.2
    }
    assert shares_to_raise(evaluated, {"kind": "static", "fingerprint": "a+c", "hold_out": 0.1}) == {}
