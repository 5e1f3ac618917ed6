"""Holding out: the same part everywhere, whatever is added."""

from pathlib import Path

import pytest

from datasets.errors import DataError
from datasets.sequence import Sequence, VideoSet
from datasets.split import hold_out, hold_out_videos


def test_holding_out_is_stable_and_keeps_names_together():
    names = [f"video{k}" for k in range(1000)]
    train, held = hold_out(names, 0.1)
    assert sorted(train + held) == sorted(names)
    assert 70 < len(held) < 130
    assert hold_out(names, 0.1) == (train, held)
    assert hold_out(names, 0.1, seed=1)[1] != held
    more_train, more_held = hold_out(names + [f"new{k}" for k in range(1000)], 0.1)
    assert set(held) <= set(more_held)
    assert set(train) <= set(more_train)
    assert not set(hold_out(names[:500] * 2, 0.1)[0]) & set(hold_out(names[:500] * 2, 0.1)[1])


def test_holding_out_leaves_something_on_each_side():
    for seed in range(20):
        train, held = hold_out(["a", "b"], 0.1, seed)
        assert len(train) == len(held) == 1
        assert hold_out(["a", "b", "c"], 0.99, seed)[0]
    assert hold_out(["a"], 0.5) == (["a"], [])
    assert hold_out(["a", "b"], 0.0) == (["a", "b"], [])
    with pytest.raises(ValueError, match="fraction to hold out is 1"):
        hold_out(["a"], 1)


def videos(names):
    frames = (Path("0.jpg"),)
    return VideoSet("set", tuple(Sequence(name, frames, (Path("0.png"),)) for name in names), frozenset({"owl"}))


def test_sequences_are_held_out_by_their_name():
    names = [f"video{k}" for k in range(30)]
    train, held = hold_out_videos(videos(names), 0.3, seed=2)
    assert (train.name, held.name, held.unseen) == ("set-train", "set-held-out", {"owl"})
    assert tuple([s.name for s in part.sequences] for part in (train, held)) == hold_out(names, 0.3, seed=2)


def test_no_part_of_a_set_is_empty():
    for names, fraction in ((["a"], 0.5), (["a", "b"], 0.0)):
        with pytest.raises(DataError, match=rf"cannot hold out {fraction:g} of the {len(names)} sequences of set"):
            hold_out_videos(videos(names), fraction)
