"""Timing the stages of a method on an attached phone, each repeat in a process of its own.

A finished repeat is written down at once: after a crash, a lost link or a kill the same command goes on from
there. When all are done they are used up, so that the next command measures anew.
"""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path

from torch import Tensor

from bench.phone.process import Runner, run
from bench.phone.runtime import Cargo, ProcessFailed, Task
from bench.phone.state import big_cores, flags, gate, read_state
from bench.plan.cells import content_hash
from bench.plan.keys import PhoneTimes
from bench.system.choices import check, settings_of
from bench.system.files import read_json, write_json

SUSTAINED_RUNS = 1024  # MLPerf Mobile
PLACES = ("serial", "adb", "folder", "wait_s", "benchmark_model")  # change no number, or are in a bundle's key


@dataclass(frozen=True)
class Protocol(PhoneTimes):
    """The keys `phone.*` of job=measure, and what follows from them."""

    def check(self) -> None:
        """Raise ConfigError, naming the key, for what is impossible."""
        check(settings_of(PhoneTimes, "phone"), {f"phone.{key}": value for key, value in asdict(self).items()})

    @property
    def modes(self) -> dict[str, "Protocol"]:
        """burst, and sustained if that is asked for: one long repeat."""
        if self.sustained is None:
            return {"burst": self}
        longest = max(self.max_seconds, 10 * self.sustained)
        long = replace(self, repeats=1, runs=SUSTAINED_RUNS, seconds=self.sustained, max_seconds=longest)
        return {"burst": self, "sustained": long}


@dataclass(frozen=True)
class Job:
    """One process on the phone; those of a row differ in `repeat` alone."""

    mode: str
    threads: int
    stage: str
    repeat: int

    @property
    def row(self) -> tuple[str, int, str]:
        return self.mode, self.threads, self.stage

    @property
    def name(self) -> str:
        return f"{self.mode}-t{self.threads}-{self.stage}-{self.repeat}"


@dataclass
class Session:
    """What a method gave on a phone so far: finished repeats, and why rows failed.

    folder: where the repeats lie. wanted: how many there will be. reused: how many an earlier command left.
    """

    folder: Path
    wanted: int
    repeats: dict[Job, dict] = field(default_factory=dict)
    failures: dict[tuple[str, int, str], str] = field(default_factory=dict)
    reused: int = 0


def measure(
    runner: Runner, identity: str, cargo: Cargo, protocol: Protocol, runs: Path, say: Callable[[str], None] = print
) -> Iterator[Session]:
    """Run every process that is not done; yields the session before the first and after each.

    identity: what tells this phone from others. A row that fails is left alone until the next command. Raises
    LinkLost when the phone stops answering. What was copied to the phone is removed unless a row failed.
    """
    numbers = {key: value for key, value in asdict(protocol).items() if key not in PLACES}
    key = content_hash([cargo.key, runner.bundle.key, identity, numbers])
    jobs = [  # repeats outermost, so that a phone that warms up shows as a spread between them
        Job(mode, threads, stage.name, repeat)
        for mode, settings in protocol.modes.items()
        for repeat in range(settings.repeats)
        for threads in protocol.threads
        for stage in cargo.stages
    ]
    session = Session(runs / "phone" / f"session-{key}", len(jobs))
    found = {job: read_json(session.folder / f"{job.name}.json", dict) for job in jobs}
    session.repeats = {job: repeat for job, repeat in found.items() if repeat is not None}
    session.reused = len(session.repeats)
    yield session
    todo = [job for job in jobs if job not in session.repeats]
    if not todo:
        return
    remote = f"{protocol.folder}/session-{key}"
    runner.phone.push(cargo.files, remote)
    allowed = cache(lambda mask: runner.phone.shell(f"taskset {mask} true", check=False).code == 0)
    for job in todo:
        if job.row in session.failures:
            continue
        try:
            repeat = _repeat(runner, remote, job, cargo, protocol.modes[job.mode], allowed, session.folder, say)
        except ProcessFailed as failure:
            session.failures[job.row] = str(failure)
        else:
            write_json(session.folder / f"{job.name}.json", repeat)
            session.repeats[job] = repeat
        yield session
    if not session.failures:
        runner.phone.shell(f"rm -rf {shlex.quote(remote)}", check=False)


def difference(found: Tensor, expected: Tensor) -> dict[str, float]:
    """The largest difference, absolute and relative to the largest value that is expected."""
    largest = float((found - expected).abs().max())
    scale = float(expected.abs().max())
    return {"max_abs": largest, "relative": largest / scale if scale else largest}


def _repeat(
    runner: Runner,
    remote: str,
    job: Job,
    cargo: Cargo,
    numbers: Protocol,
    allowed: Callable[[str], bool],
    folder: Path,
    say: Callable[[str], None],
) -> dict:
    """Cool down, run, compare."""
    before, warm = gate(runner.phone, limit_c=numbers.limit_c, wait_s=numbers.wait_s, say=say)
    mask, unpinned = big_cores(before, job.threads), []
    if mask is None:
        unpinned = ["not pinned: the phone does not tell the speed of so many cores"]
    elif not allowed(mask):
        mask, unpinned = None, [f"not pinned: taskset {mask} failed"]
    stage = next(stage for stage in cargo.stages if stage.name == job.stage)
    task = Task(stage, job.threads, mask, numbers.warmups, numbers.runs, numbers.seconds, numbers.max_seconds)
    found = run(runner, task, cargo, remote, folder / "fetched", folder / f"{job.name}.log")
    after = read_state(runner.phone)
    rows = zip(stage.outputs, found.outputs, cargo.answers[job.stage], strict=True)
    return {
        **asdict(job),
        "times_ns": None if found.times_ns is None else found.times_ns.tolist(),
        "statistics": found.statistics,
        "load_ms": found.load_ms,
        "peak_rss_mb": found.peak_rss_mb,
        "differences": {name: difference(output, expected) for name, output, expected in rows},
        "mask": mask,
        "flags": [*warm, *unpinned, *flags(before, after)],
        "before": asdict(before),
        "after": asdict(after),
        "measured": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
