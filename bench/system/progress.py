"""How far a command is: one bar with stage and time left on a terminal, elsewhere a line as a stage begins or ends.

Whatever takes a while says so by `track`. Within a `run`, whose parts tell beforehand what they will take, all of
it moves one bar; outside, an activity has a bar of its own. What is tracked within an activity is a part of it and
not shown. A process of the pool (`report_to`) sends what it tracks to its parent, which shows it (`show`).
"""

import os
import select
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import Any, Literal, Protocol

from bench.system.errors import printable, say

SECONDS_BETWEEN_REPORTS = 0.25  # of an activity
FIRST_LINE, LAST_LINE = 60.0, 600.0  # seconds of an activity until its first line, which double up to these
ESTIMATE_FROM = 0.02  # share of the whole that has to be done before the time left is told
LONGEST = 200  # characters of a label: what is sent must fit into the least that a pipe takes at once
Efforts = Mapping[Any, Mapping[str, float]]  # part -> stage -> seconds that it would take on some machine


class View(Protocol):
    """Who is told of activities."""

    def show(self, activity: "Activity") -> None: ...

    def settle(self, parts: Iterable[Any]) -> None: ...


@dataclass
class Activity:
    """Something that takes a while; `update` as it goes on. total: None where nobody knows."""

    stage: str
    label: str
    unit: str
    total: float | None
    done: float
    earlier: float = 0.0  # of what is done, what earlier commands did
    delay: float = 0.0  # seconds that it has to last to be shown
    parts: tuple = ()  # of the run, that it is at
    note: str = ""
    state: Literal["new", "begun", "at work", "ended"] = "new"
    began: float = field(default_factory=time.monotonic)
    told: float = -1e9
    view: View | None = None

    def update(self, done: float = 1, note: str | None = None) -> None:
        """So much more of it is done. Cheap: at most a few reports a second leave it."""
        self.done += done
        if note is not None:
            self.note = note
        if self.view is not None and time.monotonic() - self.told >= SECONDS_BETWEEN_REPORTS:
            self.tell("at work")

    def skip(self, done: float) -> None:
        """So much more of it an earlier command has done, which says nothing of the pace."""
        self.earlier += done
        self.update(done)

    def tell(self, state: Literal["begun", "at work", "ended"]) -> None:
        now = time.monotonic()
        if self.view is None or (self.state == "new" and (state == "ended" or now - self.began < self.delay)):
            return
        self.state, self.told = "begun" if self.state == "new" else state, now
        self.view.show(replace(self, view=None))

    def share(self, done: float) -> float:
        return min(1.0, done / self.total) if self.total else 0.0

    def __str__(self) -> str:
        total = "" if self.total is None else f"/{self.total:.0f}"
        return f"{self.label}: {self.done:.0f}{total} {self.unit}"


class _State:
    view: View | None = None
    parts: tuple = ()  # that are at work here
    inside = False  # an activity
    first_line = FIRST_LINE


@contextmanager
def track(
    stage: str, what: str = "", total: float | None = None, unit: str = "steps", done: float = 0, delay: float = 0
) -> Iterator[Activity]:
    """Within the block an activity is at work; it is shown once it has lasted for `delay` seconds.

    done: of `total` `unit`s, which earlier commands have done.
    """
    activity = Activity(stage, f"{stage} {what}".strip()[:LONGEST], unit, total, done, done, delay, _State.parts)
    if _State.inside:
        yield activity
        return
    with ExitStack() as stack:
        if _State.view is None:
            activity.parts = (activity.label,)
            stack.enter_context(run({activity.label: {stage: 1.0}}))
        activity.view, _State.inside = _State.view, True
        try:
            activity.tell("begun")
            yield activity
        finally:
            _State.inside = False
            activity.tell("ended")


def tracked(
    things: Iterable[Any], total: float | None, *, stage: str, what: str = "", **more: Any
) -> Iterator[Any]:
    """The things, one after the other, as an activity."""
    with track(stage, what, total, **more) as activity:
        for thing in things:
            yield thing
            activity.update()


@contextmanager
def run(efforts: Efforts) -> Iterator[None]:
    """Within the block there is one bar, for all that these parts take."""
    whole, before = Whole(efforts), _State.view
    _State.view = whole
    try:
        yield
    finally:
        _State.view = before
        whole.close()


@contextmanager
def at(parts: tuple) -> Iterator[None]:
    """Within the block these parts of the run are at work in this process."""
    before, _State.parts = _State.parts, parts
    try:
        yield
    finally:
        _State.parts = before


def settle(parts: Iterable[Any]) -> None:
    """Nothing is left to do of these parts of the run."""
    if _State.view is not None:
        _State.view.settle(parts)


def show(activity: Activity) -> None:
    """Another process has told this one of an activity."""
    if _State.view is not None:
        _State.view.show(activity)


def report_to(pipe: Any) -> None:
    """What this process tracks is sent to the other end of a pipe (a writing Connection), which calls `show`."""
    _State.view = Sender(pipe)


def tell_early(seconds: float) -> None:
    """The lines of this process are all that anybody sees of it: the first of an activity comes after so long."""
    _State.first_line = seconds


class Sender:
    """Tells another process; what that one is too busy to take is not sent, as later reports say it all."""

    def __init__(self, pipe: Any) -> None:
        self.pipe, self.ready = pipe, select.poll()
        self.ready.register(pipe.fileno(), select.POLLOUT)

    def show(self, activity: Activity) -> None:
        with suppress(OSError):  # it is gone; this process is about to notice
            if self.ready.poll(0):
                self.pipe.send(activity)

    def settle(self, parts: Iterable[Any]) -> None:
        """The parent knows of what it gets."""


class Whole:
    """What is done of a run and what is left, and for how long by the pace of what is done."""

    def __init__(self, efforts: Efforts, clock: Callable[[], float] = time.monotonic) -> None:
        self.efforts = {(part, stage): each for part, stages in efforts.items() for stage, each in stages.items()}
        self.left = dict(self.efforts)
        self.worked: dict[tuple, float] = {}  # the efforts of what was done by this command
        self.seconds: dict[str, float] = defaultdict(float)  # that these took; of parts side by side, once
        self.running: dict[tuple, Activity] = {}
        self.clock, self.lock, self.began, self.last, self.highest = clock, RLock(), clock(), clock(), 0.0
        self.screen: Bar | Lines = Bar() if on_terminal() else Lines()

    def show(self, activity: Activity) -> None:
        with self.lock:
            self._count(activity)
            place = (*activity.parts, activity.label)
            self.running[place] = activity
            if activity.state == "ended":
                del self.running[place]
            # Of others' parts, as of the workers of a search, the bar alone has the room to tell.
            known = any((part, activity.stage) in self.efforts for part in activity.parts) or len(self.efforts) > 1
            self.screen.draw(self, activity if known else None)

    def settle(self, parts: Iterable[Any]) -> None:
        with self.lock:
            gone = set(parts)
            self.left |= {place: 0.0 for place in self.left if place[0] in gone}
            self.running = {place: each for place, each in self.running.items() if not gone & set(each.parts)}

    def close(self) -> None:
        self.screen.close()

    def _count(self, activity: Activity) -> None:
        now, stage = self.clock(), activity.stage
        self.seconds[stage] += now - self.last
        self.last = now
        for place in ((part, stage) for part in activity.parts):
            if effort := self.efforts.get(place):
                self.left[place] = min(self.left[place], effort * (1 - activity.share(activity.done)))
                self.worked[place] = effort * activity.share(activity.done - activity.earlier)

    def _paces(self) -> dict[str, float] | None:
        """Seconds for an effort, by stage; that of all where a stage has hardly begun; None: it is too early."""
        totals, worked = _by_stage(self.efforts), _by_stage(self.worked)
        if sum(worked.values()) <= ESTIMATE_FROM * sum(totals.values()):
            return None
        usual = sum(self.seconds.values()) / sum(worked.values())
        known = {stage for stage, done in worked.items() if done > ESTIMATE_FROM * totals[stage]}
        return {stage: self.seconds[stage] / worked[stage] if stage in known else usual for stage in totals}

    def seconds_left(self) -> float | None:
        """None before there is enough to estimate it from."""
        paces = self._paces()
        return None if paces is None else sum(left * paces[stage] for (_, stage), left in self.left.items())

    def fraction(self) -> float:
        """How much of the time has passed; it does not fall."""
        if (left := self.seconds_left()) is not None:
            passed = self.clock() - self.began
            self.highest = max(self.highest, passed / (passed + left) if left else 1.0)
        return self.highest

    def outlook(self) -> str:
        left = self.seconds_left()
        return "" if left is None else f"{minutes(left)} left"


def _by_stage(efforts: Mapping[tuple, float]) -> dict[str, float]:
    found: dict[str, float] = defaultdict(float)
    for (_, stage), effort in efforts.items():
        found[stage] += effort
    return found


class Lines:
    """For files and pipes: a line at the beginning and the end of each stage, and now and then of long ones."""

    def __init__(self) -> None:
        self.silence: dict[
            tuple, tuple[float, float]
        ] = {}  # of an activity: until when, and how long the next one is

    def draw(self, whole: Whole, activity: Activity | None) -> None:
        if activity is None:
            return
        place, now = (*activity.parts, activity.label), whole.clock()
        first = _State.first_line
        until, wait = self.silence.get(place, (now, first)) if activity.state != "begun" else (now, first)
        if activity.state == "at work" and now < until:
            return
        self.silence[place] = now + wait, min(LAST_LINE, 2 * wait)
        text = str(activity)
        if activity.state != "begun":
            facts = [f"in {minutes(now - activity.began)}", activity.note]
            if len(whole.efforts) > 1:
                facts += [f"{100 * whole.fraction():.0f} % of all", whole.outlook()]
            text += " " + ", ".join(filter(None, facts))
        say(text)

    def close(self) -> None: ...


class Bar:
    """For a terminal: rich's, which is drawn with what is reported and by no thread of its own."""

    def __init__(self) -> None:
        self.progress: Any = None
        self.drawn = -1e9

    def draw(self, whole: Whole, activity: Activity | None) -> None:
        now = whole.clock()
        if activity is not None and activity.state == "at work" and now - self.drawn < SECONDS_BETWEEN_REPORTS:
            return
        self.drawn = now
        shown = next(iter(whole.running.values()), None)
        more = f" (and {len(whole.running) - 1} more)" if len(whole.running) > 1 else ""
        text = f"{shown}{more}{f', {shown.note}' if shown.note else ''}" if shown else ""
        with suppress(OSError):  # a terminal that is gone ends no run
            if self.progress is None:
                self.progress = _bar()
            self.progress.update(0, completed=whole.fraction(), label=printable(text), left=whole.outlook())
            self.progress.refresh()

    def close(self) -> None:
        if self.progress is not None:
            with suppress(OSError):
                self.progress.stop()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    console = Console(stderr=True, color_system=None if os.environ.get("NO_COLOR") else "auto", soft_wrap=True)
    found = Progress(
        BarColumn(bar_width=24),
        TaskProgressColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[left]}", markup=False, style="cyan"),
        TextColumn("{task.fields[label]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # lines that are printed meanwhile come to stand above it
    )
    found.add_task("", total=1.0, label="", left="")
    found.start()
    console.show_cursor(True)  # nobody would bring it back after a kill
    return found


def on_terminal() -> bool:
    """Whether stderr can show a bar."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def minutes(seconds: float) -> str:
    """`0:07`, `12:30`, `3:00:00`"""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
