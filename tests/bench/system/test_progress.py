"""One bar for a run, whatever processes it has; a few lines where there is no terminal."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import Pipe

import pytest

from bench.run.pool import work_apart
from bench.run.work import Item
from bench.system import progress
from bench.system.progress import Activity, Whole, minutes, run, track, tracked

EFFORTS = {"teacher": {"train": 60.0}, 0: {"evaluate": 10.0, "measure": 30.0}}


def lines_of(told: Callable[[], str]) -> list[str]:
    text = told()
    assert "\r" not in text
    assert "\x1b" not in text
    return text.splitlines()


@pytest.fixture
def told(capsys) -> Callable[[], list[str]]:
    return lambda: lines_of(lambda: capsys.readouterr().err)


def test_a_stage_is_a_line_at_its_beginning_and_one_at_its_end(told):
    with track("evaluate", "mine", 300, "frames") as activity:
        for _ in range(300):
            activity.update(1, "J&F 50")
    first, last = told()
    assert first == "evaluate mine: 0/300 frames"
    assert re.fullmatch(r"evaluate mine: 300/300 frames in 0:0\d, J&F 50", last)


def test_what_ends_at_once_is_not_shown_where_that_is_wished_for(told):
    assert list(tracked("abc", 3, stage="read", what="letters", delay=2)) == ["a", "b", "c"]
    assert told() == []


def test_what_is_tracked_within_an_activity_is_a_part_of_it(told):
    with track("train", "it", 2) as outer:
        for _ in range(2):
            assert list(tracked("ab", 2, stage="look", what="closely")) == ["a", "b"]
            outer.update()
    assert [line.split(":")[0] for line in told()] == ["train it", "train it"]


def test_a_stage_that_is_interrupted_leaves_no_trace_in_the_next(told):
    with pytest.raises(KeyboardInterrupt), run(EFFORTS), track("train", "it", 2) as activity:
        activity.update()
        raise KeyboardInterrupt
    with track("score", "it", 1, "frames"):
        pass
    assert [line.split(":")[0] for line in told()] == ["train it", "train it", "score it", "score it"]


class Clock:
    """Stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def activity(stage: str, part: object, done: float, total: float, state: str = "at work") -> Activity:
    return replace(Activity(stage, f"{stage} {part}", "steps", total, done, parts=(part,)), state=state)


def test_the_time_left_follows_from_what_is_done_stage_by_stage():
    clock = Clock()
    whole = Whole(EFFORTS, clock)
    whole.show(activity("train", "teacher", 0, 100, "begun"))
    assert (whole.seconds_left(), whole.outlook(), whole.fraction()) == (None, "", 0.0)  # nothing to tell it from
    clock.now += 30
    whole.show(activity("train", "teacher", 25, 100))  # two seconds for each that was expected
    assert whole.seconds_left() == pytest.approx(2 * (45 + 40))
    assert whole.fraction() == pytest.approx(30 / (30 + 170))
    clock.now += 90
    whole.show(activity("train", "teacher", 100, 100, "ended"))
    whole.show(activity("evaluate", 0, 0, 10, "begun"))
    clock.now += 5
    whole.show(activity("evaluate", 0, 10, 10, "ended"))  # twice as fast as expected
    assert whole.seconds_left() == pytest.approx(30 * 125 / 70)  # nothing is known of measuring: at the usual pace
    whole.settle([0])
    assert whole.seconds_left() == 0


def test_what_an_earlier_command_has_done_says_nothing_of_the_pace():
    clock = Clock()
    whole = Whole({"a": {"train": 100.0}}, clock)
    whole.show(replace(activity("train", "a", 90, 100, "begun"), earlier=90))
    clock.now += 10
    whole.show(replace(activity("train", "a", 95, 100), earlier=90))
    assert whole.seconds_left() == pytest.approx(10)
    assert whole.fraction() == pytest.approx(0.5)


def test_a_long_stage_has_a_line_now_and_then(told):
    clock = Clock()
    whole = Whole({"a": {"train": 1.0}, "b": {"train": 1.0}}, clock)
    whole.show(replace(activity("train", "a", 0, 10_000, "begun"), began=clock.now))
    for step in range(1, 10_000):
        clock.now += 1
        whole.show(replace(activity("train", "a", step, 10_000), began=100.0))
    lines = told()
    assert lines[1].startswith("train a: 60/10000 steps in 1:00")
    assert re.findall(r"(\d+)/", "".join(lines))[1:7] == ["60", "180", "420", "900", "1500", "2100"]
    assert len(lines) < 30


def test_a_part_that_turns_out_to_be_done_is_no_work_left():
    clock = Clock()
    whole = Whole({"a": {"train": 50.0}, "b": {"train": 50.0}}, clock)
    clock.now += 10
    whole.show(activity("train", "a", 10, 10, "ended"))
    whole.settle(["a", "b"])
    assert (whole.seconds_left(), whole.outlook()) == (0, "0:00 left")


def learn(name: str) -> dict:
    with track("train", name, 3) as bar:
        for _ in range(3):
            bar.update()
    return {}


def test_processes_report_to_the_one_that_shows(told):
    names = ["one", "two"]
    items = [Item((name,), _Learn(name), efforts={name: {"train": 1.0}}) for name in names]
    with run({name: {"train": 1.0} for name in names}):
        assert len(list(work_apart(items, lambda *_: None, 2))) == 2
    lines = told()
    assert {line.split(":")[0] for line in lines} == {"train one", "train two"}
    assert sorted(line for line in lines if " in " not in line) == ["train one: 0/3 steps", "train two: 0/3 steps"]
    assert any("100 % of all, 0:00 left" in line for line in lines)


class _Learn:
    """What goes to another process has to be found there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self) -> dict:
        return learn(self.name)


def test_a_parent_that_is_busy_holds_nothing_up(monkeypatch):
    receiver, sender = Pipe(duplex=False)
    monkeypatch.setattr(progress._State, "view", progress.Sender(sender))
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_REPORTS", 0)
    with track("train", "x" * 1000, 10_000) as bar:  # more than a pipe takes
        for _ in range(10_000):
            bar.update()
    assert receiver.recv().state == "begun"
    receiver.close()
    with track("train", "x", 1) as bar:  # nobody is there any more
        bar.update()


def test_a_step_is_reported_a_few_times_a_second_at_most(monkeypatch):
    seen: list[Activity] = []

    class View:
        show = staticmethod(seen.append)

    monkeypatch.setattr(progress._State, "view", View())
    with track("train", "it", 10_000) as bar:
        for _ in range(10_000):
            bar.update()
    assert len(seen) <= 4  # within a fraction of a second


DRAW = """
import sys, time
from bench.system import progress
from bench.system.errors import say
progress.SECONDS_BETWEEN_REPORTS = 0
with progress.run({"a": {"train": 1.0}}), progress.at(("a",)), progress.track("train", "it", 20) as bar:
    for step in range(20):
        time.sleep(0.01)
        bar.update(1, "loss 0.1")
        if step == 10:
            say("a line between")
"""


def on_a_terminal(**environment: str) -> str:
    """What a terminal of 100 columns gets on stderr."""
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    with subprocess.Popen(
        [sys.executable, "-c", DRAW], stderr=theirs, stdout=subprocess.PIPE, env=variables
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:  # the other end is closed
            pass
        assert process.stdout is not None
        assert process.stdout.read() == b""
    os.close(ours)
    assert process.returncode == 0
    return seen.decode()


def test_a_terminal_has_one_bar_with_stage_and_time_left():
    seen = on_a_terminal(NO_COLOR="")
    assert re.search(r"\d+ % .*0:00 left.* train it: \d+/20 steps, loss 0.1", seen)
    assert "\r\na line between\r\n" in seen or "a line between\r\n" in seen
    assert "\x1b[36m" in seen  # in colours
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") - 1  # the cursor is back at once, also after a kill


def test_no_color_is_heeded():
    seen = on_a_terminal(NO_COLOR="1")
    assert "train it: " in seen
    assert not re.search(r"\x1b\[[\d;]*m", seen)


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (67, "1:07"), (3599.6, "1:00:00"), (7265, "2:01:05")])
def test_minutes(seconds, text):
    assert minutes(seconds) == text
