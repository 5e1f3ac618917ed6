"""J and F against the official scores, and against a slow version written from the definitions."""

import itertools
import json

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from bench.score.accuracy import (
    SequenceScores,
    decay,
    decay_in_8_bits,
    frame_scores,
    recall,
    score_frames,
    summarize,
)
from bench.score.folder import judged_frames
from bench.score.metrics.boundary import dilate, tolerance_radius
from datasets.images import read_mask, write_mask
from datasets.sequence import Sequence

KEYS = ("j_mean", "j_recall", "j_decay", "f_mean", "f_recall", "f_decay", "jf_mean")


# --- the definitions, slowly -----------------------------------------------------------------------


def slow_boundary(mask: np.ndarray) -> np.ndarray:
    """(K, 2) coordinates of boundary pixels: those unlike a right, lower or lower right neighbour."""
    height, width = mask.shape
    last_y, last_x = height - 1, width - 1
    points = []
    for y in range(height):
        for x in range(width):
            right = x < last_x and mask[y, x] != mask[y, x + 1]
            lower = y < last_y and mask[y, x] != mask[y + 1, x]
            diagonal = x < last_x and y < last_y and mask[y, x] != mask[y + 1, x + 1]
            if right or lower or diagonal:
                points.append((y, x))
    return np.array(points, dtype=np.int64).reshape(-1, 2)


def slow_near(points: np.ndarray, others: np.ndarray, radius: int) -> int:
    """How many points have one of the others within the radius."""
    distance, _ = cKDTree(others).query(points)
    return int((distance < radius + 1e-9).sum())


def slow_scores(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """J and F of one object's boolean masks."""
    union = (prediction | truth).sum()
    j = (prediction & truth).sum() / union if union else 1.0
    radius = int(np.ceil(0.008 * np.sqrt(np.sum(np.square(truth.shape, dtype=float)))))
    ours, theirs = slow_boundary(prediction), slow_boundary(truth)
    if len(ours) == 0 and len(theirs) == 0:
        return j, 1.0
    if len(ours) == 0 or len(theirs) == 0:
        return j, 0.0
    precision = slow_near(ours, theirs, radius) / len(ours)
    found = slow_near(theirs, ours, radius) / len(theirs)
    return j, 2 * precision * found / (precision + found) if precision + found else 0.0


def assert_same_as_slow(prediction: np.ndarray, truth: np.ndarray, object_ids: tuple[int, ...]) -> None:
    j, f = frame_scores(prediction, truth, object_ids)
    slow = np.array([slow_scores(prediction == i, truth == i) for i in object_ids])
    np.testing.assert_allclose(np.stack([j, f], axis=1), slow, rtol=0, atol=1e-9)


def blobs(rng: np.random.Generator, size: tuple[int, int], objects: int) -> np.ndarray:
    """Smooth random regions of the ids 0..objects that touch the borders here and there."""
    fields = [ndimage.gaussian_filter(rng.normal(size=size), 2.5, mode="nearest") for _ in range(objects + 1)]
    return np.argmax(fields, axis=0).astype(np.uint8)


def numbered(predictions, truths):
    """(index, prediction, truth) of all frames but the last, as DAVIS evaluates them."""
    return list(zip(itertools.count(), predictions, truths, strict=False))[:-1]


# --- one frame -------------------------------------------------------------------------------------


# The tolerance is 1, 2, 6, 6, 8 and 9 pixels: long thin images give a large one cheaply.
@pytest.mark.parametrize("size", [(40, 50), (100, 90), (20, 690), (690, 20), (7, 900), (16, 1050)])
@pytest.mark.parametrize("objects", [1, 2, 3, 5])
def test_random_blobs(size, objects):
    rng = np.random.default_rng([*size, objects])
    truth = blobs(rng, size, objects)
    prediction = np.where(rng.random(size) < 0.03, blobs(rng, size, objects), truth)
    prediction = np.roll(prediction, (1, 3), axis=(0, 1))
    assert_same_as_slow(prediction, truth, tuple(range(1, objects + 1)))


@pytest.mark.parametrize("seed", range(40))
def test_tiny_images_of_noise(seed):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 14, 2))
    density = rng.choice([0.05, 0.5, 0.95])
    prediction, truth = (rng.random((2, *size)) < density).astype(np.uint8) * rng.integers(1, 3, (2, *size))
    assert_same_as_slow(prediction, truth, (1, 2))


def rectangle(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((30, 300), np.uint8)  # tolerance: 3 pixels
    mask[top:bottom, left:right] = 1
    return mask


SHAPES = {
    "empty": rectangle(0, 0, 0, 0),
    "full": rectangle(0, 30, 0, 300),
    "one pixel": rectangle(12, 13, 140, 141),
    "last pixel": rectangle(29, 30, 299, 300),
    "first pixel": rectangle(0, 1, 0, 1),
    "at the bottom": rectangle(20, 30, 120, 170),
    "at the right": rectangle(5, 25, 260, 300),
    "at the top left": rectangle(0, 14, 0, 50),
    "inside": rectangle(8, 22, 140, 190),
    "all but a border": rectangle(1, 29, 1, 299),
}


@pytest.mark.parametrize("truth", SHAPES)
@pytest.mark.parametrize("prediction", SHAPES)
def test_special_shapes(prediction, truth):
    assert_same_as_slow(SHAPES[prediction], SHAPES[truth], (1,))


def test_tolerance_is_a_euclidean_disk():
    """Two single pixels match exactly up to the radius, in every direction; at 480p that is 8 pixels."""
    assert tolerance_radius(480, 854) == 8
    truth = np.zeros((480, 854), np.uint8)
    truth[240, 400] = 1
    for dy in range(-9, 10):
        for dx in range(-9, 10):
            prediction = np.roll(truth, (dy, dx), axis=(0, 1))
            corners = np.array([(240, 400), (239, 400), (240, 399), (239, 399)])
            share = slow_near(corners, corners + np.array([dy, dx]), 8) / 4
            assert frame_scores(prediction, truth, (1,))[1][0] == pytest.approx(share, abs=1e-9)


@pytest.mark.parametrize("radius", [1, 2, 3, 5, 8, 13, 18])
def test_dilation_treats_every_plane_alone(radius):
    rng = np.random.default_rng(radius)
    image = np.zeros((60, 75), np.uint8)
    image[rng.integers(0, 60, 12), rng.integers(0, 75, 12)] = rng.integers(1, 256, 12)
    dilated = dilate(np.pad(image, ((radius, radius), (0, radius))), radius)[:, :75]
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    for bit in range(8):
        expected = ndimage.binary_dilation(image >> bit & 1, x**2 + y**2 <= radius**2)
        np.testing.assert_array_equal(dilated >> bit & 1, expected)


def test_void_is_left_out():
    truth = SHAPES["inside"].copy()
    prediction = truth.copy()
    truth[:, 160:] = 255
    np.testing.assert_array_equal(frame_scores(prediction, truth, (1,)), [[1], [1]])
    prediction[:, 150:] = 0
    np.testing.assert_array_equal(frame_scores(prediction, truth, (1,))[0], [0.5])  # 10 of 20 known columns


@pytest.mark.parametrize("seed", range(6))
def test_void_beside_several_objects(seed):
    """As if neither mask had anything there."""
    rng = np.random.default_rng(seed)
    prediction, truth = blobs(rng, (40, 50), 3), blobs(rng, (40, 50), 3)
    void = blobs(rng, (40, 50), 2) == 1
    found = frame_scores(prediction, np.where(void, 255, truth), (1, 2, 3))
    pairs = [((prediction == i) & ~void, (truth == i) & ~void) for i in (1, 2, 3)]
    np.testing.assert_allclose(np.transpose(found), [slow_scores(*p) for p in pairs], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(frame_scores(prediction, np.full_like(truth, 255), (1, 2)), np.ones((2, 2)))


def test_ids_need_not_be_contiguous_and_others_are_ignored():
    truth = blobs(np.random.default_rng(0), (60, 80), 3)
    prediction = np.roll(truth, 2, axis=1)
    names = np.array([0, 7, 254, 30])
    expected = frame_scores(prediction, truth, (1, 2))
    np.testing.assert_array_equal(frame_scores(names[prediction], names[truth], (7, 254)), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_any_integer_type_and_memory_order(dtype):
    truth = blobs(np.random.default_rng(1), (60, 80), 2)
    prediction = np.roll(truth, 2, axis=0)
    expected = frame_scores(prediction, truth, (1, 2))
    fortran = frame_scores(np.asfortranarray(prediction.astype(dtype)), np.asfortranarray(truth), (1, 2))
    np.testing.assert_array_equal(fortran, expected)


def test_different_sizes():
    with pytest.raises(ValueError, match=r"prediction is 240x427 but the ground truth is 480x854"):
        frame_scores(np.zeros((240, 427), int), np.zeros((480, 854), int), (1,))


# --- sequences -------------------------------------------------------------------------------------


def test_first_last_and_unannotated_frames_are_not_scored(tmp_path):
    files = [tmp_path / f"{t}.png" for t in range(6)]
    write_mask(files[0], SHAPES["inside"])
    masks = [*files[:2], None, *files[3:]]
    assert judged_frames(Sequence("dog", files, masks)) == (1, 3, 4)
    assert judged_frames(Sequence("dog", files, masks, appears={1: 0})) == (1, 3, 4, 5)
    assert judged_frames(Sequence("dog", files, [files[0], *[None] * 5])) == ()


def test_an_object_that_disappears():
    """Rightly predicted as gone it scores 1; still predicted it scores 0."""
    there, gone = SHAPES["inside"], SHAPES["empty"]
    truths = [there, there, gone, gone, gone]
    scores = score_frames("dog", numbered([there, there, gone, there, gone], truths), (1,))
    np.testing.assert_array_equal(scores.j[:, 0], [1, 1, 0])
    np.testing.assert_array_equal(scores.f[:, 0], [1, 1, 0])


def test_an_object_that_is_never_there():
    there, gone = SHAPES["inside"], SHAPES["empty"]
    scores = score_frames("dog", numbered([there] * 4, [there] * 4), (1, 7))
    np.testing.assert_array_equal(scores.j, [[1, 1]] * 2)
    scores = score_frames("dog", numbered([there * 7, there * 7, gone, gone], [there] * 4), (1, 7))
    np.testing.assert_array_equal(scores.j, [[0, 0], [0, 1]])
    np.testing.assert_array_equal(scores.f, [[0, 0], [0, 1]])


def test_objects_that_appear_late():
    """Each is evaluated from the frame after its first to the last one; a frame that evaluates none is no row."""
    rng = np.random.default_rng(5)
    truths, predictions = ([blobs(rng, (20, 30), 3) for _ in range(6)] for _ in range(2))
    appears = {1: 1, 2: 0, 3: 4}
    scores = score_frames("dog", zip(range(6), predictions, truths, strict=True), (1, 2, 3), appears)
    assert scores.j.shape == scores.f.shape == (5, 3)
    for column, (i, start) in enumerate(appears.items()):
        slow = [slow_scores(predictions[t] == i, truths[t] == i) for t in range(start + 1, 6)]
        found = np.stack([scores.j[:, column], scores.f[:, column]], axis=1)
        assert np.isnan(found[:start]).all()
        np.testing.assert_allclose(found[start:], slow, rtol=0, atol=1e-9)
        figures = scores.per_object()[i]
        means = np.mean(slow, axis=0)
        assert [figures["j_mean"], figures["f_mean"]] == pytest.approx(means, abs=1e-9)


def test_masks_of_two_sizes_cannot_be_scored():
    mask = SHAPES["inside"]
    with pytest.raises(ValueError, match=r"sequence dog, frame 1 .*is 30x100 but the ground truth is 30x300"):
        score_frames("dog", [(1, mask[:, :100], mask)], (1,))


def test_recall_and_decay():
    values = np.array([[0.9], [0.8], [0.5], [0.3], [0.6], [0.2], [0.1], [0.4]])
    assert recall(values) == pytest.approx([3 / 8])  # 0.5 itself is not above 0.5
    # Quarters of 8 frames: edges 1, 2.75, 4.5, 6.25, 8 round to frames 1, 3, 4 or 5, 6, 8.
    assert decay(values) == pytest.approx([(0.9 + 0.8 + 0.5) / 3 - (0.2 + 0.1 + 0.4) / 3])


def test_decay_of_a_long_sequence():
    """Frames 0..100 of 400 are the first quarter and 299..399 the last: 8 bits cannot hold these."""
    values = np.zeros((400, 1))
    values[:101], values[299:] = 1, 0.25
    assert decay(values) == pytest.approx([0.75])


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 98, 255, 256, 257, 260, 303, 511, 1000])
def test_decay_of_any_length(frames):
    """Edge k of the quarters is frame 1 + k (n - 1) / 4, rounded half up, in exact arithmetic."""
    values = np.random.default_rng(frames).random((frames, 2))
    edges = [(4 + k * (frames - 1) + 2) // 4 for k in range(5)]
    expected = values[: edges[1]].mean(axis=0) - values[edges[3] - 1 :].mean(axis=0)
    np.testing.assert_allclose(decay(values), expected, rtol=0, atol=1e-12)
    in_8_bits = decay_in_8_bits(values)
    if frames < 256:
        np.testing.assert_array_equal(in_8_bits, decay(values))
        return
    edges = np.array(edges, np.int64).astype(np.uint8) - np.uint8(1)
    first, last = (values[edges[k] : (edges[k + 1 : k + 2] + np.uint8(1))[0]] for k in (0, 3))
    if not len(first) or not len(last):
        assert np.isnan(in_8_bits).all()
    else:
        np.testing.assert_allclose(in_8_bits, first.mean(axis=0) - last.mean(axis=0), rtol=0, atol=1e-12)


def test_summary_weighs_objects_equally():
    one = SequenceScores("dog", (1,), j=np.full((3, 1), 0.9), f=np.full((3, 1), 0.7))
    two = SequenceScores("cows", (1, 5), j=np.tile([0.3, 0.6], (8, 1)), f=np.tile([0.1, 0.4], (8, 1)))
    summary = summarize([one, two])
    assert summary["j_mean"] == pytest.approx(0.6)
    assert summary["f_mean"] == pytest.approx(0.4)
    assert summary["jf_mean"] == pytest.approx(0.5)
    assert summary["j_recall"] == pytest.approx(2 / 3)
    assert list(summary["per_object"]) == ["dog_1", "cows_1", "cows_5"]
    assert summary["per_object"]["cows_5"]["jf_mean"] == pytest.approx(0.5)
    written = json.loads(json.dumps(summary))
    assert written["j_mean"] == summary["j_mean"]
    assert set(written) == {*KEYS, "per_object"}
    assert set(written["per_object"]["dog_1"]) == set(KEYS)


def test_summary_of_nothing_or_of_one_name_twice():
    one = SequenceScores("dog", (1,), j=np.ones((3, 1)), f=np.ones((3, 1)))
    with pytest.raises(ValueError, match="no object to score"):
        summarize([])
    with pytest.raises(ValueError, match="dog_1 was scored twice"):
        summarize([one, one])


@pytest.mark.parametrize(
    ("recording", "predictions", "truths", "object_ids"),
    [
        (
            "davis2016_subset_480p_binary",
            "golden/jf/osvos_binary_480p",
            "data/davis2016-subset-480p/Annotations/480p",
            (1,),
        ),
        ("bmx-trees_multi_480p", "golden/jf/osvos_multi_480p", "golden/jf/gt_multi_480p", (1, 2)),
    ],
)
def test_official_scores(shared, recording, predictions, truths, object_ids):
    official = json.loads((shared / "golden/jf/official_scores.json").read_text())[recording]

    def masks(folder):
        return (read_mask(path, binary=object_ids == (1,)) for path in sorted(folder.glob("*.png")))

    summary = summarize(
        [
            score_frames(folder.name, numbered(masks(folder), masks(shared / truths / folder.name)), object_ids)
            for folder in sorted((shared / predictions).iterdir())
        ]
    )
    for key in KEYS:
        official_key = key.replace("jf", "JF").replace("j_", "J_").replace("f_", "F_")
        assert summary[key] == pytest.approx(official[official_key], abs=1e-9), key
    for measure in "JF":
        per_object = {name: s[f"{measure.lower()}_mean"] for name, s in summary["per_object"].items()}
        assert per_object == pytest.approx(official[f"{measure}_per_object"], abs=1e-9)
