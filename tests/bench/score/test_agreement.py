"""Masks that a network finds again on its way back, and those that it does not."""

import numpy as np
import pytest
import torch

from bench.score.agreement import label

FRAMES = 12


def scene(t: int) -> np.ndarray:
    """uint8 (20, 60, 3): a red square that moves by 2 pixels a frame; a green one stays."""
    frame = np.zeros((20, 60, 3), np.uint8)
    frame[2:8, 2 + 2 * t : 8 + 2 * t, 0] = 255
    frame[12:18, 40:46, 1] = 255
    return frame


class ByColour:
    """Finds red as object 1 and green as object 2, but for what a test has it lose in one direction."""

    def __init__(self, lose=()) -> None:
        self.lose, self.way = lose, 0

    def start(self, frame, mask) -> None:
        self.object_ids = sorted(set(mask.unique().tolist()) - {0})
        self.way, self.t = self.way + 1, 0

    def step(self, frame):
        self.t += 1
        planes = [frame[i - 1] * ((self.way, self.t, i) not in self.lose) for i in self.object_ids]
        return torch.stack([torch.full(frame.shape[1:], 0.5), *planes])


def first() -> np.ndarray:
    mask = np.zeros((20, 60), np.uint8)
    mask[2:8, 2:8], mask[12:18, 40:46] = 1, 2
    return mask


def labelled(method, **changes):
    settings = {"threshold": 0.8, "shortest": 3, "device": "cpu", "video": "v"} | changes
    return label(method, scene, FRAMES, first(), **settings)


def test_what_both_ways_agree_on_is_kept():
    found = labelled(ByColour())
    assert (found.ids, found.runs) == ([1, 2], [range(FRAMES)])
    assert found.agreement.shape == (FRAMES, 2) and (found.agreement == 1).all()
    np.testing.assert_array_equal(found.masks[0], first())


def test_frames_of_an_object_that_is_lost_one_way_part_the_runs():
    found = labelled(ByColour(lose={(1, 5, 1)}))  # not seen in frame 5 on the way there, but on the way back
    assert found.runs == [range(5), range(6, FRAMES)]
    assert found.agreement[5].tolist() == [0, 1]
    assert labelled(ByColour(lose={(1, 5, 1)}), shortest=6).runs == [range(6, FRAMES)]


def test_an_object_whose_way_back_ends_elsewhere_is_background():
    found = labelled(ByColour(lose={(2, FRAMES - 1, 2)}))  # green is not found in frame 0 on the way back
    assert (found.ids, found.runs) == ([1], [range(FRAMES)])
    assert {*np.unique(found.masks)} == {0, 1}


def test_where_no_object_is_found_again_the_way_back_begins_in_the_middle():
    lost = {(2, FRAMES - 1, i) for i in (1, 2)}
    found = labelled(ByColour(lose=lost))
    assert found.runs == [range(6)] and len(found.masks) == 6  # the last frame is 11, its half 5
    nothing = labelled(ByColour(lose=lost), shortest=7)
    assert (nothing.ids, nothing.runs, nothing.agreement.shape) == ([], [], (FRAMES, 2))


def test_an_object_that_is_outlined_badly_in_the_first_frame_counts_in_others():
    class Rough(ByColour):
        def step(self, frame):
            answer = super().step(frame)
            if (self.way, self.t) == (2, FRAMES - 1):  # a third of each object is missing where the way back ends
                answer[1:, [*range(2, 4), *range(12, 14)]] = 0
            return answer

    assert labelled(Rough()).runs == [range(1, FRAMES)]


def test_the_way_back_begins_at_the_last_frame_that_shows_an_object():
    gone = {(1, t, i) for t in range(8, FRAMES) for i in (1, 2)}
    assert labelled(ByColour(lose=gone)).runs == [range(8)]


@pytest.mark.parametrize(("threshold", "kept"), [(0.4, [range(FRAMES)]), (0.6, [range(4), range(5, FRAMES)])])
def test_the_threshold_is_of_the_iou(threshold, kept):
    class Half(ByColour):
        def step(self, frame):
            answer = super().step(frame)
            if (self.way, self.t) == (1, 4):  # half of each object is missing on the way there
                answer[1:, [*range(2, 5), *range(12, 15)]] = 0
            return answer

    assert labelled(Half(), threshold=threshold).runs == kept
