"""Training clips: sampling, augmentation, and the same clips whatever reads them."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from datasets.augment import augment_clip, visible_objects
from datasets.clips import (
    ClipStream,
    ImageCache,
    MixedClips,
    StaticClips,
    VideoClips,
    keep_objects,
    max_skip_at,
    sample_times,
)
from datasets.davis import open_davis
from datasets.errors import DataError
from datasets.folder import open_folder
from datasets.images import write_mask
from datasets.sequence import Sequence, VideoSet
from datasets.static import open_static


def scene(t, height=60, width=90):
    """Three bright squares on a dark ground that move right by a pixel a frame: image and ids."""
    mask = np.zeros((height, width), np.uint8)
    for k, object_id in enumerate((2, 5, 6)):
        mask[20:38, 4 + 26 * k + t : 20 + 26 * k + t] = object_id
    return np.repeat(np.where(mask > 0, 220, 30)[:, :, None], 3, axis=2).astype(np.uint8), mask


def write_videos(root, lengths=(8, 5)):
    for k, length in enumerate(lengths):
        (root / f"v{k}" / "frames").mkdir(parents=True)
        for t in range(length):
            image, mask = scene(t)
            cv2.imwrite(str(root / f"v{k}" / "frames" / f"{t}.jpg"), image)
            write_mask(root / f"v{k}" / "masks" / f"{t}.png", mask)
    return open_folder(root)


def write_stills(root, count=4):
    for k in range(count):
        image, mask = scene(k)
        (root / "JPEGImages" / "a").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "JPEGImages" / "a" / f"{k}.jpg"), image)
        write_mask(root / "Annotations" / "a" / f"{k}.png", mask)
    return open_static(root)


@pytest.fixture(params=["video", "still"])
def make_source(request, tmp_path):
    """A function that makes a clip source of either kind over files on disk."""
    if request.param == "video":
        videos = write_videos(tmp_path)
        return lambda **options: VideoClips(videos, size=48, **options)
    stills = write_stills(tmp_path)
    return lambda **options: StaticClips(stills, size=48, **options)


def test_a_clip_has_at_most_max_objects_numbered_from_1_and_all_in_frame_0(make_source):
    counts = set()
    for number in range(30):
        frames, masks = make_source(max_objects=2).clip(number, max_skip=2)
        assert frames.shape == (3, 48, 48, 3)
        assert masks.shape == (3, 48, 48)
        assert frames.dtype == masks.dtype == np.uint8
        first = np.unique(masks[0]).tolist()
        assert set(np.unique(masks)) <= set(first)
        assert first in ([0, 1], [0, 1, 2])
        counts.add(len(first))
    assert 3 in counts


def test_a_clip_depends_on_the_seed_and_its_number_alone(make_source):
    source = make_source(seed=3)
    for number in range(4):
        source.clip(number, 5)
    frames, masks = source.clip(7, 5)
    again = make_source(seed=3, cache_mb=0).clip(7, 5)
    np.testing.assert_array_equal(frames, again[0])
    np.testing.assert_array_equal(masks, again[1])
    assert not np.array_equal(frames, source.clip(8, 5)[0])
    assert not np.array_equal(frames, make_source(seed=4).clip(7, 5)[0])


def test_files_are_decoded_once_if_they_fit_in_the_cache(make_source, monkeypatch):
    reads = []
    for module in ("datasets.sequence", "datasets.static"):
        real = __import__(module, fromlist=["read_frame"]).read_frame
        monkeypatch.setattr(f"{module}.read_frame", lambda path, real=real: reads.append(path) or real(path))
    source = make_source()
    for number in range(20):
        source.clip(number, 3)
    assert len(reads) == len(set(reads)) > 1
    reads.clear()
    small = make_source(cache_mb=0.05)
    for number in range(20):
        small.clip(number, 3)
    assert len(reads) > len(set(reads))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_gives_the_same_batches_with_any_workers_and_from_any_step(make_source, workers):
    cv2.resize(np.zeros((2000, 2000, 3), np.uint8), (999, 999))  # start OpenCV's threads before the fork
    stream = ClipStream(make_source(), steps=3, batch=2)
    assert len(stream) == 6
    for first_step in (0, 2):
        batches = list(stream.loader(first_step, workers))
        assert len(batches) == 3 - first_step
        for step, batch in enumerate(batches, first_step):
            for key, values in batch.items():
                torch.testing.assert_close(
                    values, torch.stack([stream[2 * step + k][key] for k in (0, 1)]), rtol=0, atol=0
                )


def test_an_item_of_a_stream_is_what_a_model_takes(make_source):
    source = make_source()
    item = ClipStream(source, steps=10, batch=4)[20]
    frames, masks = source.clip(20, max_skip=25)
    assert item["frames"].dtype == torch.float32
    assert item["masks"].dtype == item["num_objects"].dtype == torch.int64
    np.testing.assert_allclose(item["frames"].numpy(), frames.transpose(0, 3, 1, 2) / np.float32(255), atol=1e-7)
    np.testing.assert_array_equal(item["masks"].numpy(), masks)
    assert item["num_objects"] == masks.max()
    assert item["frames"].shape == (3, 3, 48, 48)


def test_a_stream_ends():
    with pytest.raises(IndexError, match="item 4 of a stream of 4"):
        ClipStream(None, steps=2, batch=2)[4]


def test_frames_lie_one_to_max_skip_apart_and_run_both_ways():
    rng = np.random.default_rng(0)
    distances = np.array([np.diff(sample_times(40, 3, 5, rng)) for _ in range(300)])
    forward = distances[:, 0] > 0
    assert (np.sign(distances) == np.where(forward, 1, -1)[:, None]).all()
    assert set(np.abs(distances).ravel()) == {1, 2, 3, 4, 5}
    assert 100 < forward.sum() < 200
    places = np.array([sample_times(40, 3, 5, rng) for _ in range(300)])
    assert (places.min(), places.max()) == (0, 39)


def test_short_sequences_limit_the_skip():
    rng = np.random.default_rng(0)
    places = np.array([sample_times(6, 3, 25, rng) for _ in range(100)])
    assert (places.min(), places.max()) == (0, 5)
    assert set(np.abs(np.diff(places)).ravel()) == {1, 2}
    assert sorted(sample_times(3, 3, 25, rng)) == [0, 1, 2]
    assert sample_times(1, 1, 5, rng) == [0]


def test_only_annotated_frames_are_used_and_sequences_without_enough_left_out(tmp_path):
    write_videos(tmp_path, lengths=(8, 5))
    for t in (1, 3, 4):
        (tmp_path / "v0" / "masks" / f"{t}.png").unlink()
        (tmp_path / "v1" / "masks" / f"{t}.png").unlink()
    source = VideoClips(open_folder(tmp_path), size=32)
    assert [(sequence.name, sequence.annotated) for sequence in source.videos] == [("v0", (0, 2, 5, 6, 7))]
    assert source.clip(0, 25)[1].any()
    with pytest.raises(DataError, match=r"no sequence of .* has 6 annotated frames"):
        VideoClips(open_folder(tmp_path), length=6)


@pytest.mark.parametrize(("stride", "max_skip", "distances"), [(1, 5, 5), (5, 4, 1), (5, 14, 2), (5, 25, 5)])
def test_the_skip_counts_frames_of_the_video_though_only_some_are_annotated(
    tmp_path, monkeypatch, stride, max_skip, distances
):
    (sequence,) = write_videos(tmp_path, lengths=(20,)).sequences
    source = VideoClips(VideoSet("sparse", (replace(sequence, stride=stride),)), size=32)
    read = []
    real = Sequence.frame
    monkeypatch.setattr(Sequence, "frame", lambda self, t: read.append(t) or real(self, t))
    source.cache = ImageCache(0)
    for number in range(40):
        source.clip(number, max_skip)
    steps = np.diff(np.reshape(read, (-1, 3)))
    assert set(np.abs(steps).ravel()) == set(range(1, distances + 1))


def test_an_object_that_is_not_in_the_first_frame_of_a_clip_is_background_throughout(tmp_path):
    """Object 5 appears in frame 1, so that forward clips from frame 0 leave it out and backward ones keep it."""
    videos = write_videos(tmp_path, lengths=(3,))
    for t, ids in enumerate([(2,), (2, 5), (2, 5)]):
        mask = scene(t)[1]
        write_mask(tmp_path / "v0" / "masks" / f"{t}.png", np.where(np.isin(mask, ids), mask, 0))
    late = replace(videos.sequences[0], appears={2: 0, 5: 1})
    source = VideoClips(VideoSet("late", (late,)), size=48)
    counts = set()
    for number in range(30):
        masks = source.clip(number, 1)[1]
        assert set(np.unique(masks)) == set(np.unique(masks[0]))
        counts.add(int(masks.max()))
    assert counts == {1, 2}


class Recorder:
    """A source whose clips tell its name and the first number that its own generator draws, as a quarter."""

    def __init__(self, name, seed=0):
        self.name, self.seed = name, seed

    def clip(self, number, max_skip):
        return self.name, int(4 * np.random.default_rng([self.seed, number]).random()), max_skip


def test_a_mix_draws_each_source_by_its_weight_and_from_all_of_it():
    mixed = MixedClips([(Recorder("davis"), 3), (Recorder("youtube"), 1)])
    clips = [mixed.clip(number, 7) for number in range(2000)]
    assert clips == [mixed.clip(number, 7) for number in range(2000)]
    assert np.mean([name == "davis" for name, _, _ in clips]) == pytest.approx(0.75, abs=0.03)
    for source in ("davis", "youtube"):
        videos = np.bincount([video for name, video, _ in clips if name == source])
        assert videos.min() > 0.8 * videos.mean()
    assert {skip for _, _, skip in clips} == {7}
    other = MixedClips([(Recorder("davis"), 3), (Recorder("youtube"), 1)], seed=1)
    assert [other.clip(number, 7)[0] for number in range(20)] != [name for name, _, _ in clips[:20]]


def test_a_mix_of_real_sources_gives_their_own_clips(tmp_path):
    sources = [
        VideoClips(write_videos(tmp_path / "v"), size=32),
        StaticClips(write_stills(tmp_path / "s"), size=32),
    ]
    mixed = MixedClips([(source, 1) for source in sources])
    of = []
    for number in range(12):
        masks = mixed.clip(number, 3)[1]
        of.append([np.array_equal(masks, source.clip(number, 3)[1]) for source in sources].index(True))
    assert set(of) == {0, 1}


@pytest.mark.parametrize("weights", [[], [0.0], [1, -1], [float("nan")]])
def test_weights_of_a_mix_are_above_0(weights):
    with pytest.raises(ValueError, match="need weights above 0"):
        MixedClips([(Recorder("a"), weight) for weight in weights])


def test_sources_without_objects_say_so_instead_of_drawing_for_ever(tmp_path):
    write_videos(tmp_path / "videos", lengths=(3,))
    for t in range(3):
        write_mask(tmp_path / "videos" / "v0" / "masks" / f"{t}.png", np.zeros((60, 90)))
    with pytest.raises(DataError, match="no object in the first frame of any of 20 clips from videos"):
        VideoClips(open_folder(tmp_path / "videos"), size=32).clip(0, 5)
    with pytest.raises(DataError, match="no still images"):
        StaticClips([])


def test_frames_of_different_sizes_in_one_sequence_are_an_error(tmp_path):
    write_videos(tmp_path, lengths=(3,))
    cv2.imwrite(str(tmp_path / "v0" / "frames" / "1.jpg"), np.zeros((30, 30, 3), np.uint8))
    write_mask(tmp_path / "v0" / "masks" / "1.png", np.ones((30, 30)))
    with pytest.raises(DataError, match="frames of sequence v0 differ in size"):
        VideoClips(open_folder(tmp_path)).clip(0, 5)


def test_augmentation_keeps_masks_on_objects_and_an_object_in_view():
    images, masks = zip(*(scene(t) for t in range(3)), strict=True)
    overlaps, colours = [], set()
    for seed in range(40):
        frames, ids = augment_clip(list(images), list(masks), 64, np.random.default_rng(seed))
        bright = frames.mean(axis=-1) > 125
        overlaps.append((bright & (ids > 0)).sum() / (bright | (ids > 0)).sum())
        assert set(np.unique(ids)) <= {0, 2, 5, 6}
        assert len(visible_objects(ids[0])) > 0
        colours.add(frames.tobytes())
    assert min(overlaps) > 0.9
    assert len(colours) == 40


def test_frames_share_their_crop():
    """The frames of a clip of one repeated image stay nearly the same; those of two clips do not."""
    image, mask = scene(0)
    clips = [augment_clip([image] * 2, [mask] * 2, 64, np.random.default_rng(k))[1] for k in range(30)]
    within = np.mean([(ids[0] != ids[1]).mean() for ids in clips])
    across = np.mean([(a[0] != b[0]).mean() for a, b in pairwise(clips)])
    assert 0 < within < across / 2


def test_kept_objects_are_drawn_at_random():
    masks = np.zeros((2, 10, 10), np.uint8)
    masks[:, 0], masks[:, 1], masks[:, 2], masks[1, 3], masks[:, 4] = 3, 4, 9, 5, 255
    kept = set()
    for seed in range(30):
        new = keep_objects(masks, 2, np.random.default_rng(seed))
        assert set(np.unique(new)) == {0, 1, 2}
        kept.add((int(masks[new == 1][0]), int(masks[new == 2][0])))
    assert kept == {(3, 4), (3, 9), (4, 9)}


def test_the_default_curriculum_is_that_of_stcn():
    marks = [0.0, 0.09, 0.1, 0.25, 0.3, 0.4, 0.89, 0.9, 1.0]
    assert [max_skip_at(progress) for progress in marks] == [5, 5, 10, 15, 20, 25, 25, 5, 5]


def test_real_video_and_stills_give_clips(shared):
    videos = open_davis(shared / "data" / "davis-train-240p", 2017, "train")
    stills = open_static(shared / "data" / "static-240p")[::100]
    for source in (VideoClips(videos, size=96), StaticClips(stills, size=96)):
        for number in range(5):
            frames, masks = source.clip(number, 10)
            assert frames.std() > 10
            assert 1 <= masks.max() <= 2
