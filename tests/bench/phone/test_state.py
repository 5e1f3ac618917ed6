"""What a phone tells of itself, and when it is fit to be measured."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench.phone import state as states
from bench.phone.adb import LinkLost, connect
from bench.phone.state import Core, State, big_cores, flags, gate, read_state


@pytest.fixture
def state() -> State:
    """Of a phone at its best: four small cores, three big ones and a bigger one."""
    speeds = (1824.0,) * 4 + (2515.2,) * 3 + (2995.2,)
    return State(
        model="SM-S901B",
        android_version="14",
        abi="arm64-v8a",
        cores=tuple(Core(n, mhz, mhz, mhz / 2, "walt") for n, mhz in enumerate(speeds)),
        battery_percent=85.0,
        battery_c=31.2,
        plugged=True,
        charging=False,
        thermal_status=0,
        low_power=False,
        siop_level=0,
        free_mb=20000.0,
    )


def limited(state: State, numbers: set[int], mhz: float) -> State:
    cores = (replace(core, limit_mhz=mhz) if core.number in numbers else core for core in state.cores)
    return replace(state, cores=tuple(cores))


@pytest.mark.parametrize("legacy", [False, True])
def test_everything_that_a_phone_tells(fake_phone, state, legacy):
    fake_phone(legacy=legacy, properties={"ro.product.cpu.abi": "arm64-v8a"})
    assert read_state(connect()) == state


def test_what_a_phone_does_not_tell_is_none(fake_phone):
    made = fake_phone(cores_khz=None, celsius=(), thermal=(), properties={"sys.siop.level": ""}, low_power="null")
    for program in ("df", "settings"):
        (made.root / "system/bin" / program).write_text("#!/bin/sh\necho unknown; exit 1\n")
    found = read_state(connect())
    assert found.cores == () and big_cores(found, 1) is None
    assert (found.battery_percent, found.battery_c, found.plugged, found.charging) == (None,) * 4
    assert (found.thermal_status, found.siop_level, found.low_power, found.free_mb) == (None,) * 4
    assert found.model == "SM-S901B"


def test_a_link_that_breaks_is_not_taken_for_a_silent_phone(fake_phone):
    fake_phone(drop="df -k")
    with pytest.raises(LinkLost):
        read_state(connect())


@pytest.mark.parametrize("count, mask", [(1, "80"), (3, "e0"), (4, "f0"), (5, "f8"), (8, "ff"), (9, None)])
def test_the_fastest_cores(state, count, mask):
    assert big_cores(state, count) == mask


def test_the_fastest_cores_may_come_first(state):
    cores = tuple(replace(core, number=7 - core.number) for core in state.cores)
    assert (big_cores(replace(state, cores=cores), 1), big_cores(replace(state, cores=cores), 4)) == ("1", "f")


# cool enough?


@pytest.fixture
def naps(monkeypatch) -> list[float]:
    """Seconds that were slept, in no time."""
    found = []
    monkeypatch.setattr(states, "time", SimpleNamespace(sleep=found.append))
    return found


def test_a_cool_phone_does_not_wait(fake_phone, naps):
    fake_phone(celsius=(35.0,))
    found, doubts = gate(connect(), say=pytest.fail)
    assert found.battery_c == 35.0 and doubts == naps == []


def test_a_warm_phone_is_waited_for(fake_phone, naps):
    fake_phone(celsius=(41.0, 35.1, 34.9, 34.8), thermal=(2, 0, 1, 0))
    said = []
    found, doubts = gate(connect(), say=said.append)
    assert (found.battery_c, found.thermal_status, doubts) == (34.8, 0, [])
    assert naps == [10.0] * 3 and len(said) == 3
    assert "cool to 35 °C: battery 41.0 °C, thermal status 2; 0 of 600 s" in said[0]
    assert "thermal status 1; 20 of 600 s" in said[2]


def test_a_phone_that_stays_warm_is_flagged_after_the_wait(fake_phone, naps):
    fake_phone(celsius=(38.5,))
    _, doubts = gate(connect(), wait_s=25, say=lambda text: None)
    assert naps == [10.0, 10.0, 5.0]
    assert doubts == ["warm at the start: battery 38.5 °C, thermal status 0 after 25 s of waiting"]


def test_a_phone_without_thermometer_is_flagged(fake_phone, naps):
    fake_phone(celsius=(), thermal=())
    assert gate(connect())[1] == ["temperature unknown"] and naps == []


# as before?


def test_a_steady_phone_has_no_flags(state):
    busy = replace(state, cores=tuple(replace(core, now_mhz=core.max_mhz) for core in state.cores), battery_c=34.0)
    assert flags(state, busy) == []  # clocks that follow the load are as they should be


def test_what_makes_a_measurement_doubtful(state):
    assert flags(state, replace(state, thermal_status=1)) == ["thermal status 0 -> 1"]
    assert flags(replace(state, thermal_status=2), replace(state, thermal_status=2)) == ["thermal status 2 -> 2"]
    assert flags(state, replace(state, siop_level=3)) == ["sys.siop.level 0 -> 3"]
    assert flags(state, replace(state, charging=True)) == ["charging"]
    assert flags(replace(state, low_power=True), state) == ["low-power mode"]


def test_a_changed_frequency_limit_names_the_cores(state):
    hot = limited(state, {4, 5, 6}, 1500.0)
    assert flags(state, hot) == ["cores 4, 5, 6: frequency limit 2515 MHz -> 1500 MHz"]
    assert flags(hot, hot) == ["cores 4, 5, 6: limited to 1500 MHz of 2515 MHz"]
    assert flags(state, replace(state, cores=state.cores[:7])) == ["core 7: turned off"]
