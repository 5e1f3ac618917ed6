"""Videos whose objects appear late, whose masks are partly there, or whose truth is hidden."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from bench.score.accuracy import summarize
from bench.score.evaluate import Evaluation, evaluate
from bench.system.errors import ConfigError
from datasets.images import read_mask, write_mask
from datasets.sequence import Sequence, VideoSet
from methods.copy_first_mask import CopyFirstMask

SIZE = (32, 48)


def square(object_id: int, left: int) -> np.ndarray:
    """Ten columns of one object."""
    mask = np.zeros(SIZE, np.uint8)
    mask[8:24, left : left + 10] = object_id
    return mask


@pytest.fixture
def video(tmp_path):
    """Makes a sequence of grey frames from {frame index: mask}."""

    def make(name: str, frames: int, masks: dict[int, np.ndarray], **options) -> Sequence:
        (tmp_path / name).mkdir()
        paths = [tmp_path / name / f"{5 * t:05d}.png" for t in range(frames)]
        for path in paths:
            Image.fromarray(np.full((*SIZE, 3), 128, np.uint8)).save(path)
        files = [tmp_path / name / "masks" / p.name if t in masks else None for t, p in enumerate(paths)]
        for t, mask in masks.items():
            write_mask(files[t], mask)
        return Sequence(name, tuple(paths), tuple(files), **options)

    return make


@pytest.fixture
def run(tmp_path):
    """Evaluates the copied mask on sequences; masks and scores go to tmp_path/out."""

    def evaluate_all(*sequences: Sequence, method=None) -> Evaluation:
        return evaluate(method or CopyFirstMask(), VideoSet("set", sequences), tmp_path / "out", "cpu")

    return evaluate_all


def late_video(make) -> Sequence:
    """Object 7 from frame 0, which moves in frame 4; object 2 from frame 2; frames 1 and 3 not annotated."""
    both, moved = square(7, 0) + square(2, 30), square(7, 5) + square(2, 30)
    masks = {0: square(7, 0), 2: both, 4: moved, 5: both}
    return make("late", 6, masks, appears={7: 0, 2: 2})


def test_an_object_is_judged_in_annotated_frames_after_its_own_up_to_the_last(video, run):
    (scores,) = run(late_video(video)).scores
    assert scores.object_ids == (2, 7)
    np.testing.assert_allclose(scores.j, [[np.nan, 1], [1, 1 / 3], [1, 1]])  # frames 2, 4, 5
    np.testing.assert_array_equal(np.isnan(scores.f), np.isnan(scores.j))
    objects = scores.per_object()
    assert objects[7]["j_mean"] == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert (objects[2]["j_mean"], objects[2]["j_recall"], objects[2]["f_decay"]) == (1, 1, 0)
    assert objects[7]["j_recall"] == pytest.approx(2 / 3)


def test_every_frame_gets_a_mask_with_the_ids_given_so_far(video, run, tmp_path):
    result = run(late_video(video))
    masks = [read_mask(tmp_path / f"out/masks/late/{5 * t:05d}.png") for t in range(6)]
    assert [np.unique(mask).tolist() for mask in masks] == [[0, 7]] * 2 + [[0, 2, 7]] * 4
    assert len(result.step_ms) == 5


def test_an_interrupted_evaluation_reads_its_scores_back(video, run, tmp_path):
    sequence = late_video(video)
    (first,) = run(sequence).scores
    text = (tmp_path / "out/scores/late.json").read_text()
    json.loads(text, parse_constant=pytest.fail)  # NaN is no JSON
    (again,) = run(sequence).scores
    np.testing.assert_array_equal(again.j, first.j)
    np.testing.assert_array_equal(again.f, first.f)


def test_without_late_objects_the_davis_protocol_holds_on_annotated_frames(video, run):
    here, moved = square(3, 0), square(3, 5)
    (scores,) = run(video("sparse", 5, {0: here, 2: moved, 4: moved})).scores
    np.testing.assert_allclose(scores.j, [[1 / 3]])  # frame 2: the last is not evaluated


def test_hidden_truth_is_segmented_but_not_scored(video, run, tmp_path):
    """As in the validation split of YouTube-VOS, where a mask holds nothing but the objects that it gives."""
    late = video("hidden", 4, {0: square(1, 0), 2: square(2, 30)}, appears={1: 0, 2: 2})
    own = video("own", 2, {0: square(1, 0)})
    result = run(late, own)
    assert [s.j.shape for s in result.scores] == [(0, 2), (0, 1)]
    assert [s.per_object() for s in result.scores] == [{}, {}]
    summary = summarize(result.scores)
    assert (summary["jf_mean"], summary["j_decay"], summary["per_object"]) == (None, None, {})
    assert np.unique(read_mask(tmp_path / "out/masks/hidden/00015.png")).tolist() == [0, 1, 2]


def test_what_is_not_scored_does_not_touch_what_is(video, run):
    known = late_video(video)
    alone = summarize(run(known).scores)
    assert summarize(run(known, video("own", 3, {0: square(1, 0)})).scores) == alone


def test_a_method_that_cannot_add_objects_says_so(video, run):
    class Fixed:
        start, step = CopyFirstMask.start, CopyFirstMask.step

    with pytest.raises(ConfigError, match="Fixed cannot add objects .* late appear"):
        run(late_video(video), method=Fixed())


def test_two_frames_cannot_be_scored(video, run):
    with pytest.raises(ConfigError, match="short has 2 frames; scoring needs at least 3"):
        run(video("short", 2, {0: square(1, 0), 1: square(1, 0)}))


def test_a_network_follows_late_objects_too(video, run):
    import methods

    torch.manual_seed(0)
    result = run(late_video(video), method=methods.create("mobilevos_mnv2", width=0.25))
    np.testing.assert_array_equal(np.isnan(result.scores[0].j), [[True, False], [False] * 2, [False] * 2])
