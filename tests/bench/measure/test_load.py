"""How busy the machine was: from counters to what is said of it."""

import time
from dataclasses import replace

import pytest
import torch

from bench.measure import load
from bench.measure.load import Load, Moment, Quiet, between, look

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


class Machine:
    """Two cores, of which others use so many in each second; work and sleep pass the time."""

    def __init__(self, *others: float) -> None:
        self.others, self.now, self.moments = others, 0.0, 0.0

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.moments += self.others[min(int(self.now), len(self.others) - 1)]
            self.now += 1

    def look(self) -> Moment:
        return Moment(self.now, own_s=0.0, load=0.0, busy_s=self.moments, stolen_s=0.0, mhz=None, throttled=None)

    def quiet(self, patience: float = 20.0) -> Quiet:
        return Quiet(1, patience, self.look, self.pass_time)

    def work(self) -> float:
        """Takes four seconds; says when it began."""
        began = self.now
        self.pass_time(4)
        return began


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(load.os, "cpu_count", lambda: 2)


def test_on_a_quiet_machine_a_time_is_taken_once():
    machine = Machine(0.1)
    assert machine.quiet().timed(machine.work) == (0, False)
    assert machine.now == 4


def test_a_disturbed_time_is_taken_again_once_it_is_quiet():
    machine = Machine(1, 1, 1, 1, 1, 1, 0)
    assert machine.quiet().timed(machine.work) == (7, False)  # after two busy seconds and a quiet one


def test_where_it_does_not_become_quiet_the_time_is_marked_and_the_wait_is_bounded():
    machine = Machine(1)
    quiet = machine.quiet(patience=5)
    assert quiet.timed(machine.work) == (0, True)
    assert machine.now == 4 + 5
    assert quiet.timed(machine.work) == (9, True)  # without any more patience
    assert machine.now == 13


def test_of_two_disturbed_times_the_quieter_counts():
    machine = Machine(1, 1, 1, 1, 0, 0.4)  # others come back
    assert machine.quiet().timed(machine.work) == (5, True)
    machine = Machine(0.4, 0.4, 0.4, 0.4, 0, 1)
    assert machine.quiet().timed(machine.work) == (0, True)


def test_a_tenth_of_the_cores_is_busy_and_a_short_look_is_not_trusted_beyond_its_ticks():
    assert not replace(QUIET, other_cores=0.39).busy
    assert replace(QUIET, other_cores=0.42).busy
    assert not replace(QUIET, other_cores=0.42, seconds=0.2).busy
    assert not replace(QUIET, other_cores=None, load_after=9.0).busy  # of work that has ended, perhaps
