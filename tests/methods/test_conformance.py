"""Each promise of the adapter is broken by a method that breaks it, and by name."""

import pytest
import torch

from methods.conformance import PROMISES, NotGiven, Outcome, check_all
from methods.copy_first_mask import CopyFirstMask


class Good(CopyFirstMask):
    """Keeps every promise; the methods below each break one."""


class HalfSize(Good):
    def step(self, frame):
        return super().step(frame[:, ::2, ::2])


class Numpy(Good):
    def step(self, frame):
        return super().step(frame).numpy()


class Logits(Good):
    def step(self, frame):
        return 10 * super().step(frame) - 5


class NotANumber(Good):
    def step(self, frame):
        return super().step(frame) / 0


class IdsAsGiven(Good):
    """In the order in which they appear in the mask, from the top."""

    def start(self, frame, mask):
        super().start(frame, mask)
        self.object_ids = list(dict.fromkeys(mask[mask > 0].tolist()))


class Swapped(Good):
    """The planes in decreasing order of the ids."""

    def step(self, frame):
        background, *objects = super().step(frame)
        return torch.stack([background, *reversed(objects)])


class Random(Good):
    def step(self, frame):
        return torch.softmax(super().step(frame) + torch.rand(len(self.object_ids) + 1, *frame.shape[1:]), 0)


class Remembers(Good):
    """Is less sure where the video before had background."""

    def start(self, frame, mask):
        before = self._probabilities
        super().start(frame, mask)
        if before is not None and before.shape[1:] == mask.shape:
            weight = 0.5 * before[:1]
            self._probabilities = weight / len(self._probabilities) + (1 - weight) * self._probabilities


class RemembersIds(Good):
    def start(self, frame, mask):
        before = self.object_ids
        super().start(frame, mask)
        self.object_ids = sorted({*before, *self.object_ids})


class TwoObjects(Good):
    def start(self, frame, mask):
        if mask.unique().numel() > 4:
            raise ValueError("at most three objects")
        super().start(frame, mask)


class EvenSizes(Good):
    def step(self, frame):
        height, width = frame.shape[1:]
        return super().step(frame[:, : height // 2 * 2, : width // 2 * 2])


class Normalises(Good):
    def step(self, frame):
        frame -= 0.5
        return super().step(frame)


class Shares(Good):
    def step(self, frame):
        return self._probabilities if self._probabilities.shape[1:] == frame.shape[1:] else super().step(frame)


class Hoards(Good):
    def start(self, frame, mask):
        super().start(frame, mask)
        self.features = []

    def step(self, frame):
        self.features.append(frame.repeat(4, 1, 1).numpy())
        return super().step(frame)


class AddsNothing(Good):
    def add(self, frame, mask):
        return self.step(frame)


class KeepsAdded(Good):
    """Starts with the objects that were added in the video before."""

    added = None

    def start(self, frame, mask):
        if self.added is not None and self.added.shape == mask.shape:
            mask = torch.where(mask > 0, mask, self.added)
        super().start(frame, mask)

    def add(self, frame, mask):
        self.added = mask
        return super().add(frame, mask)


def outcomes(method, *names: str) -> dict[str, Outcome]:
    promises = [promise for promise in PROMISES if promise.name in names]
    return {outcome.promise.name: outcome for outcome in check_all(method, "cpu", promises=promises or None)}


def test_a_good_method_keeps_all_promises():
    found = outcomes(Good())
    assert list(found) == [promise.name for promise in PROMISES]
    assert {outcome.kept for outcome in found.values()} == {True}
    assert found["memory"].remark == "it does not grow"


@pytest.mark.parametrize(
    ("method", "promise", "seen"),
    [
        (HalfSize, "shapes", r"(3, 25, 35) in place of (3, 50, 70)"),
        (Numpy, "shapes", "gave a ndarray, no tensor"),
        (Logits, "probabilities", "lie between -5 and 5"),
        (NotANumber, "probabilities", "NaN or infinite"),
        (IdsAsGiven, "ids", "[200, 4, 31] in place of [4, 31, 200]"),
        (Swapped, "order", "channel 1 shows 9"),
        (Random, "determinism", "differs by up to"),
        (Remembers, "restart", "differs by up to"),
        (RemembersIds, "restart", "object_ids is [1, 3, 7] in place of [3, 7]"),
        (TwoObjects, "many objects", "at most three objects"),
        (EvenSizes, "sizes", "(2, 32, 46) in place of (2, 33, 47)"),
        (Normalises, "inputs", "a frame that was given has changed"),
        (Shares, "answers", "when the caller has written into the one before"),
        (Hoards, "memory", "it grows: 20 GB after 1000 frames of 480x864"),
        (AddsNothing, "late objects", "object_ids is [3, 7] in place of [3, 5, 7]"),
        (KeepsAdded, "late objects", "object_ids is [3, 5, 7] in place of [3, 7]"),
    ],
)
def test_a_broken_promise_is_named_with_what_was_seen(method, promise, seen):
    found = outcomes(method(), promise)[promise]
    assert found.kept is False
    assert seen in found.remark


def test_the_order_says_nothing_of_a_method_that_follows_nothing():
    class Background(Good):
        def step(self, frame):
            found = torch.zeros_like(super().step(frame))
            found[0] = 1
            return found

    assert outcomes(Background(), "order")["order"].kept


def test_a_memory_that_grows_by_design_is_told():
    class Grows(Good):
        def start(self, frame, mask):
            super().start(frame, mask)
            self.kept = []

        def step(self, frame):
            self.kept.append(frame)
            return super().step(frame)

    found = outcomes(Grows(), "memory")["memory"]
    assert found.kept and "5.0 GB after 1000 frames" in found.remark


def test_late_objects_are_no_promise_of_a_method_without_add():
    class Fixed:
        def __init__(self):
            self.copy = CopyFirstMask()
            self.start, self.step = self.copy.start, self.copy.step

        @property
        def object_ids(self):
            return self.copy.object_ids

    found = outcomes(Fixed(), "late objects")["late objects"]
    assert found.kept is None and "no add()" in found.remark
    with pytest.raises(NotGiven):
        found.promise.check(Fixed(), "cpu")
