"""How busy the machine was: from counters to what is said of it."""

import time
from dataclasses import replace

import pytest
import torch

from bench.measure import load
from bench.measure.load import Load, Moment, between, look

QUIET = Load(
    seconds=10.0, cores=4, threads=4, load_before=0.1, load_after=4.0, other_cores=0.2, stolen_cores=0.0,
    mhz_before=3000.0, mhz_after=2950.0, governor="performance", throttled=0,
)  # fmt: skip


def test_a_quiet_machine_is_not_warned_of():
    assert QUIET.warnings() == []


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"other_cores": 2.1}, "busy machine: others used 2.1 of 4 cores"),
        ({"other_cores": None, "load_after": 6.5}, "busy machine: others used 2.5 of 4 cores"),  # ours taken off
        ({"stolen_cores": 0.5}, "the hypervisor took 0.50 of 4 cores"),
        ({"throttled": 3}, "throttled 3 times"),
        ({"mhz_after": 2000.0}, "the clock fell from 3000 to 2000 MHz"),
        ({"governor": "powersave"}, "governor is 'powersave'"),
    ],
)
def test_what_makes_times_unreliable_is_said(change, warning):
    (found,) = replace(QUIET, **change).warnings()
    assert warning in found


def test_the_work_of_others_is_what_is_left_of_the_busy_time():
    before = Moment(wall_s=100.0, own_s=5.0, load=1.0, busy_s=50.0, stolen_s=2.0, mhz=3000.0, throttled=7)
    after = Moment(wall_s=110.0, own_s=13.0, load=2.0, busy_s=73.0, stolen_s=3.0, mhz=2900.0, throttled=9)
    found = between(before, after, threads=1)
    assert found.other_cores == pytest.approx((23 - 8) / 10)
    assert found.stolen_cores == pytest.approx(0.1)
    assert (found.load_before, found.load_after, found.throttled) == (1.0, 2.0, 2)


def test_a_system_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(load, "_read", lambda path: "")
    moment = look()
    assert (moment.busy_s, moment.stolen_s, moment.mhz) == (None, None, None)
    found = between(moment, look(), threads=1)
    assert (found.other_cores, found.stolen_cores, found.governor) == (None, None, "")


def test_our_own_work_is_noticed():
    before, begin = look(), time.perf_counter()
    while time.perf_counter() - begin < 0.2:
        torch.ones(50, 50) @ torch.ones(50, 50)
    assert 0 < look().own_s - before.own_s < 10
