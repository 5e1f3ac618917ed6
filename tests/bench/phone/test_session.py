"""Repeats on a phone: run by the genuine adb client on a phone in software, compared, kept and used again."""

import re
import shlex
import shutil
from collections import deque

import pytest
import torch
from native import QUICK

from bench.phone import session as sessions
from bench.phone.adb import LinkLost, PhoneError, connect
from bench.phone.executorch import EXECUTORCH
from bench.phone.process import install
from bench.phone.session import Protocol, difference, measure
from bench.system.errors import ConfigError

RUN = "timeout -k"  # only commands that time something have it


@pytest.fixture
def attempt(cargo, bundle, tmp_path):
    """Measure on a phone, as far as it goes; returns the last session there was, and what was said."""
    said = []

    def go(phone, **changes):
        protocol = Protocol(serial=phone.serial, **{**QUICK, **changes})
        runner = install(connect(phone.serial), EXECUTORCH, bundle, protocol.folder)
        found = measure(runner, phone.serial, cargo, protocol, tmp_path / "runs", say=said.append)
        return deque(found, maxlen=1)[0]

    go.said = said
    return go


def program(phone, name: str, script: str) -> None:
    """Replace a program of the phone."""
    file = phone.root / "system/bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def fails_after(phone, good: int, script: str) -> None:
    """The runner works so many times, then the script runs in its place."""
    count = phone.root / "state/count"
    program(phone, "timeout", f"""
        echo x >> {count}
        [ $(wc -l < {count}) -le {good} ] && {{ shift 3; exec "$@"; }}
        {script}
    """)  # fmt: skip


def timed(phone) -> list[str]:
    return [command for command in phone.commands if RUN in command]


def test_every_repeat_is_a_process_whose_outputs_are_those_of_eager(fake_phone, attempt, cargo):
    phone = fake_phone()
    session = attempt(phone, threads=[1, 2])
    assert len(session.repeats) == session.wanted == len(timed(phone)) == 2 * 2 * 2
    assert not session.failures and not session.reused
    for job, repeat in session.repeats.items():
        assert repeat["threads"] == job.threads
        assert len(repeat["times_ns"]) == 3 and min(repeat["times_ns"]) > 0
        assert repeat["differences"].keys() == {"look": {"map", "size"}, "match": {"weights"}}[job.stage]
        assert all(found["relative"] < 1e-5 for found in repeat["differences"].values())
        assert repeat["before"]["battery_c"] == 31.2
        assert repeat["flags"] == []
    order = [(job.repeat, job.threads, job.stage) for job in session.repeats]
    assert order == sorted(order)  # repeats outermost


def test_threads_are_held_on_the_fastest_cores_under_a_time_limit(fake_phone, attempt):
    phone = fake_phone()
    attempt(phone, threads=[1, 4], repeats=1, max_seconds=3)
    starts = [shlex.split(command.partition("&&")[2])[:5] for command in timed(phone)]
    assert starts == [["timeout", "-k", "5", "66", "taskset"]] * 4
    masks = {shlex.split(command.partition("taskset ")[2])[0] for command in timed(phone)}
    assert masks == {"80", "f0"}


@pytest.mark.parametrize(
    ("facts", "flag"),
    [({"cores_khz": None}, "not pinned: the phone does not tell"), ({}, "not pinned: taskset 80 failed")],
)
def test_without_pinning_times_are_flagged(fake_phone, attempt, facts, flag):
    phone = fake_phone(**facts)
    program(phone, "taskset", "exit 1")
    for repeat in attempt(phone).repeats.values():
        assert repeat["mask"] is None
        assert repeat["flags"][0].startswith(flag)


def test_a_warm_phone_is_waited_for_and_flagged_if_it_stays_warm(fake_phone, attempt):
    phone = fake_phone(celsius=(41.0,))
    session = attempt(phone, wait_s=0, repeats=1)
    assert all("warm at the start" in repeat["flags"][0] for repeat in session.repeats.values())


def test_nothing_is_left_on_the_phone_but_the_runner_which_is_copied_once(fake_phone, attempt):
    phone = fake_phone()
    attempt(phone)
    (left,) = (phone.folder / "vos-bench").iterdir()
    assert left.name.startswith("runner-")
    before = left.stat().st_mtime_ns, (left / "et_runner").stat().st_mtime_ns
    attempt(phone, repeats=1)
    assert (left.stat().st_mtime_ns, (left / "et_runner").stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("kill -SEGV $$", r"segmentation fault \(SIGSEGV\) \(exit code 139\)"),
        ("kill -KILL $$", r"killed .* for want of memory \(exit code 137\)"),
        ("exit 124", r"ran past its time limit \(exit code 124\)"),
        ("echo 'et_runner: cannot run look' >&2; exit 1", r"it failed \(exit code 1: et_runner: cannot run look\)"),
        ("exit 0", r"it failed \(exit code 0\)"),
    ],
)  # fmt: skip
def test_a_process_that_fails_ends_its_row_and_the_finished_repeats_stay(fake_phone, attempt, script, why):
    phone = fake_phone()
    fails_after(phone, 3, script)  # of 4: the second repeat of `match` fails
    session = attempt(phone)
    assert [job.name for job in session.repeats] == ["burst-t1-look-0", "burst-t1-match-0", "burst-t1-look-1"]
    ((row, text),) = session.failures.items()
    assert row == ("burst", 1, "match")
    assert re.search(why, text), text
    assert "SIGSEGV" in next(session.folder.glob("*.log")).read_text()  # what logcat said

    fails_after(phone, 99, "")
    again = attempt(phone)
    assert (again.reused, len(again.repeats), again.failures) == (3, 4, {})
    assert len(timed(phone)) == 4 + 1


def test_a_row_that_fails_is_not_tried_again_by_the_same_command(fake_phone, attempt):
    phone = fake_phone()
    fails_after(phone, 0, "exit 1")
    session = attempt(phone, repeats=5)
    assert len(session.failures) == len(timed(phone)) == 2


def test_a_lost_link_keeps_the_finished_repeats(fake_phone, attempt, tmp_path):
    phone = fake_phone(drop=RUN, drop_at=3)
    with pytest.raises(LinkLost):
        attempt(phone)
    assert len(list((tmp_path / "runs/phone").glob("session-*/burst-*.json"))) == 2
    phone.plug_in()
    session = attempt(phone)
    assert (session.reused, len(session.repeats)) == (2, 4)
    assert len(timed(phone)) == 3 + 2  # the one that was lost, once more


def test_other_numbers_are_another_session(fake_phone, attempt):
    phone = fake_phone()
    attempt(phone)
    assert attempt(phone, runs=4).reused == 0
    assert attempt(phone).reused == 4
    shutil.rmtree(attempt(phone).folder)
    assert attempt(phone).reused == 0


def test_sustained_is_one_long_repeat(fake_phone, attempt, monkeypatch):
    monkeypatch.setattr(sessions, "SUSTAINED_RUNS", 20)
    phone = fake_phone()
    session = attempt(phone, sustained=0.05)
    runs = {job.name: len(repeat["times_ns"]) for job, repeat in session.repeats.items()}
    assert [name for name in runs if name.startswith("sustained")] == [
        "sustained-t1-look-0",
        "sustained-t1-match-0",
    ]
    assert runs["sustained-t1-look-0"] >= 20 and runs["burst-t1-look-0"] == 3
    assert len(runs) == 4 + 2


@pytest.mark.parametrize(("code", "why"), [(126, "made for another ABI"), (127, "library is missing")])
def test_a_phone_that_cannot_start_the_runner_is_told_before_anything_else(fake_phone, attempt, code, why):
    phone = fake_phone()
    inside = phone.inside
    phone.inside = lambda text: re.sub(r"\./ld-.* --version", f"(exit {code})", inside(text))
    with pytest.raises(PhoneError, match=f"cannot start the runner: .*{why}.*phone.folder="):
        attempt(phone)
    assert not timed(phone)


def test_differences_are_absolute_and_relative_to_the_largest_value():
    found = difference(torch.tensor([1.0, -4.5]), torch.tensor([1.0, -4.0]))
    assert found == {"max_abs": 0.5, "relative": 0.125}
    assert difference(torch.tensor([0.5]), torch.zeros(1)) == {"max_abs": 0.5, "relative": 0.5}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"repeats": 0}, "phone.repeats=0: give a whole number of at least 1"),
        ({"threads": []}, r"phone.threads=\[\]: give a list .* of at least 1, each a whole number of at least 1"),
        ({"threads": [0]}, r"phone.threads=\[0\]: give a list .*, each a whole number of at least 1"),
        ({"sustained": 0}, "phone.sustained=0: give a number above 0"),
    ],
)
def test_impossible_numbers_are_named(wrong, message):
    with pytest.raises(ConfigError, match=message):
        Protocol(**wrong).check()
