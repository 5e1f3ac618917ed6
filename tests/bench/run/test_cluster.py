"""Jobs of a cluster, without one: what is submitted, submitted again, given up and told."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from submitit.core.utils import JobPaths, cloudpickle_dump

from bench.__main__ import main
from bench.run import slurm as module
from bench.run.element import Element
from bench.run.scheduler import Scheduler
from bench.run.slurm import Jobs
from bench.run.work import Item
from bench.system.errors import ConfigError
from bench.system.stopping import Stopped, ask


class Fake(Scheduler):
    """A scheduler whose jobs do what the test says."""

    def __init__(self, folder: Path, at_once: int = 16, retries: int = 1) -> None:
        self.settings = SimpleNamespace(at_once=at_once, retries=retries)
        self.folder, self.jobs, self.cancelled, self.states = folder, [], [], {}
        self.ends, self.silent = "NODE_FAIL", False

    def submit(self, element: object, count: int, folder: Path) -> list:
        jobs = [self._job(str(len(self.jobs) + n)) for n in range(count)]
        self.jobs += jobs
        self.states |= {job.job_id: "running" for job in jobs}
        return jobs

    def _job(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(job_id=name, paths=JobPaths(self.folder, name))

    def queue(self) -> dict[str, str] | None:
        return None if self.silent else self.states

    def ending(self, job: object) -> str:
        return self.ends

    def cancel(self, jobs: list) -> None:
        self.cancelled += jobs

    def end(self, number: int, value: object = None) -> None:
        """Job `number` returns its value."""
        cloudpickle_dump(("success", value), self.jobs[number].paths.result_pickle)
        del self.states[str(number)]


class Run:
    """Trainings `a`, `b`, ...: those of the second word are ready once the first word's have ended."""

    def __init__(self, folder: Path, text: str, **settings: int) -> None:
        self.fake, self.element = Fake(folder, **settings), Element([], None, folder, folder, 1)
        first, _, then = text.partition(" ")
        self.items = [self._item(key, "") for key in first] + [self._item(key, first) for key in then]
        self.jobs = Jobs(self.fake, self.element)

    def _item(self, key: str, needs: str) -> Item:
        def ended(keys: str) -> bool:
            return all(each in self.element.failures or self.has(each) for each in keys)

        locks = {self.element.folder / f"{key}.lock": f"training {key}"}
        return Item((key,), dict, locks, ready=lambda: ended(needs), done=lambda: ended(key))

    def has(self, key: str) -> bool:
        return (self.element.folder / key).exists()

    def train(self, key: str) -> None:
        (self.element.folder / key).touch()

    def begin(self, key: str, job: int) -> None:
        """As a job tells in its log."""
        with self.fake.jobs[job].paths.stdout.open("a") as log:
            log.write(f"training {key}\n")

    def kill(self, job: int) -> None:
        """It is in the queue no more; seen twice, it is dead."""
        del self.fake.states[str(job)]
        self.look()
        self.look()

    def look(self) -> int:
        """How many jobs were submitted so far."""
        self.jobs.look([item for item in self.items if not item.done()])
        return len(self.fake.jobs)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Callable[..., Run]:
    monkeypatch.setattr(module, "SECONDS_OF_SILENCE", 0.0)
    return lambda text, **settings: Run(tmp_path, text, **settings)


def test_there_are_as_many_jobs_as_find_something_to_do(run, capsys):
    there = run("a bcd", at_once=2)
    assert there.look() == 1
    assert there.look() == 1
    there.train("a")
    assert there.look() == 2  # of three that are ready
    assert re.search(r"^job 0; log: .*/0_0_log\.out$", capsys.readouterr().err, re.MULTILINE)


def test_what_kills_its_jobs_is_given_up_and_another_takes_the_place_of_a_dead_one(run, capsys):
    there = run("ab", retries=1)
    assert there.look() == 2
    there.begin("a", 0)
    there.begin("b", 1)
    there.kill(0)
    assert len(there.fake.jobs) == 3
    assert "job 0 ended without a result: NODE_FAIL; another takes its place; log: " in capsys.readouterr().err
    there.begin("a", 2)
    there.kill(2)
    assert re.fullmatch(r"job 2 ended without a result: NODE_FAIL; log: .*", there.element.failures["a"])
    assert "b" not in there.element.failures


def test_what_needs_more_memory_is_not_tried_again(run):
    there = run("a")
    there.fake.ends = "OUT_OF_MEMORY"
    there.look()
    there.begin("a", 0)
    there.kill(0)
    assert "raise launcher.memory_gb" in there.element.failures["a"]
    assert there.look() == 1


def test_jobs_that_die_before_they_begin_anything_end_all(run):
    there = run("ab", retries=1)
    there.look()
    there.kill(0)
    there.kill(1)
    assert {"a", "b"} == {key for key in "ab" if key in there.element.failures}


def test_silence_of_the_scheduler_is_waited_out(run, capsys):
    there = run("a")
    there.fake.silent = True
    assert there.look() == there.look() == 0
    assert capsys.readouterr().err.count("Slurm does not answer") == 1
    there.fake.silent = False
    assert there.look() == 1


def test_what_another_run_is_at_needs_no_job(run, tmp_path):
    from filelock import FileLock

    there = run("")
    there.items = [Item(("a",), dict, {tmp_path / "lock": "training a"})]
    with FileLock(tmp_path / "lock"):
        assert there.look() == 0
    assert there.look() == 1


def test_a_mistake_of_the_user_in_one_job_cancels_the_others(run):
    there = run("ab")
    with pytest.raises(ConfigError, match="device=cuda"), there.jobs.at_work():
        there.look()
        there.fake.end(0, ConfigError("device=cuda cannot be used"))
        there.look()
    assert there.fake.cancelled == there.fake.jobs[1:]


@pytest.mark.parametrize(("how", "cancelled"), [(KeyboardInterrupt, 2), (Stopped, 0)])
def test_ctrl_c_cancels_jobs_and_a_request_to_stop_leaves_them(how, cancelled, run):
    there = run("ab")
    with pytest.raises(how), there.jobs.at_work():
        there.look()
        raise how
    assert len(there.fake.cancelled) == cancelled


# Inside a job.


class Toy(Element):
    def work(self) -> None:
        self.config()


def wrong() -> None:
    raise ConfigError("scale.student.crop=95 is wrong")


def test_a_mistake_of_the_user_is_what_a_job_returns(tmp_path):
    assert isinstance(Toy([], wrong, tmp_path, tmp_path, threads=1)(), ConfigError)
    assert Toy([], lambda: None, tmp_path, tmp_path, threads=1)() is None


@pytest.mark.parametrize(("state", "requeued"), [("RUNNING", True), ("COMPLETING", False)])
def test_a_job_that_is_asked_to_stop_requeues_itself_only_while_it_counts_as_running(
    state, requeued, tmp_path, monkeypatch
):
    """Slurm itself requeues what it has preempted or was told to requeue, and nobody what was cancelled."""
    (tmp_path / "scontrol").write_text(f"#!/bin/sh\necho JobId=1 JobState={state} Reason=None\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    calls = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    signal.signal(signal.SIGUSR2, lambda *_: calls.append("requeued"))
    try:
        with pytest.raises(SystemExit) as ended:
            Toy([], ask, tmp_path, tmp_path, threads=1)()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended.value.code == 143
    assert calls == ["requeued"] * requeued


# From the command line.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "launcher=slurm needs Slurm, but there is no sbatch, .* on the PATH: .* launcher=local"),
        (["job=measure"], "launcher=slurm is for job=ablate and job=evaluate, not for job=measure"),
        (["launcher.cpus=0"], "launcher.cpus=0: give a whole number of at least 1"),
        (["launcher.hours=0"], "launcher.hours=0: give a number of at least 0.1"),
        (["launcher.gpus=many"], "many"),
        (["launcher.name=pbs"], "unknown launcher.name=pbs; known: local, slurm"),
        (["launcher.partion=gpu"], "did you mean 'launcher.partition'"),
        (["launcher.sbatch.time=5"], "launcher.sbatch.time cannot be given: set launcher.hours instead"),
        (["launcher.sbatch.open_mode=truncate"], "launcher.sbatch.open_mode cannot be given: the suite sets it"),
    ],
)
def test_a_mistake_in_the_settings_gets_one_message(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["launcher=slurm", f"runs={tmp_path}/runs", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(message, lines[0]), lines[0]
