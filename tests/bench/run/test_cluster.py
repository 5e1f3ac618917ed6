"""Work on a cluster, without one: what is submitted, waited for, submitted again and told."""

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from submitit.core.utils import cloudpickle_dump

from bench.__main__ import main
from bench.run import cluster as module
from bench.run.cluster import Cluster, Lost
from bench.run.job import Work
from bench.run.scheduler import Job
from bench.system.errors import ConfigError
from bench.system.stopping import Stopped, ask


@dataclass(frozen=True)
class Item:
    key: str


def train(items: list[Item], folder: Path) -> dict[str, str]:
    """A toy of a training: leaves a file for each item."""
    for item in items:
        if item.key == "wrong":
            raise ConfigError("scale.student.crop=95 is wrong")
        (folder / item.key).touch()
    return {}


class Fake:
    """A scheduler whose jobs do what the test says: `script` is called, an entry at a time, when it is asked."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.arrays: list[list[Work]] = []
        self.states: dict[str, str] = {}
        self.cancelled: list[Job] = []
        self.ends = "NODE_FAIL"
        self.script: list[Callable | None] = []

    def submit(self, works: list[Work], folder: Path) -> list[Job]:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(self.arrays) + 1
        jobs = [Job(f"{number}_{place}", folder) for place in range(len(works))]
        self.arrays.append(works)
        self.jobs += jobs
        self.states |= {job.id: "running" for job in jobs}
        return jobs

    def queue(self) -> dict[str, str] | None:
        act = self.script.pop(0) if self.script else None
        return self.states if act is None else act()

    def ending(self, job: Job) -> str:
        return self.ends

    def cancel(self, jobs: list[Job]) -> None:
        self.cancelled += jobs

    def end(self, number: int, value: object = None) -> dict[str, str]:
        """Job `number` returns its value."""
        job = self.jobs[number]
        cloudpickle_dump(("success", {} if value is None else value), job._paths.result_pickle)
        return self.kill(number)

    def kill(self, number: int) -> dict[str, str]:
        """Job `number` is in the queue no more."""
        del self.states[self.jobs[number].id]
        return self.states


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, value in {
        "SECONDS_BETWEEN_LOOKS": 0.0,
        "SECONDS_BETWEEN_QUESTIONS": -1.0,
        "SECONDS_OF_SILENCE": 0.0,
    }.items():
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def fake() -> Fake:
    return Fake()


def opened(fake: Fake, folder: Path, retries: int = 1) -> Cluster:
    return Cluster(fake, folder / "jobs", retries, threads=1)


def add(cluster: Cluster, folder: Path, *texts: str) -> list:
    """`add(cluster, folder, "a b", "c")`: two jobs, the first of two items."""
    jobs = [[Item(key) for key in text.split()] for text in texts]
    return cluster.add(train, jobs, (folder,), lambda items: " ".join(item.key for item in items))


def test_what_is_added_before_a_wait_is_one_array_and_ends_in_any_order(fake, tmp_path, capsys):
    with opened(fake, tmp_path) as cluster:
        early, late = add(cluster, tmp_path, "early"), add(cluster, tmp_path, "a b", "c")
        fake.script = [None, None, lambda: fake.end(2), lambda: fake.end(0), lambda: fake.end(1, {"a": "no"})]
        assert [task.name for task in cluster.wait(late)] == ["c", "a b"]
        assert [task.outcome for task in late] == [{"a": "no"}, {}]
        assert [task.outcome for task in cluster.wait(early)] == [{}]
    assert [len(works) for works in fake.arrays] == [3]
    told = capsys.readouterr().err
    assert re.search(r"job 1_1: a b; log: .*/jobs/.*/1_1_0_log\.out$", told, re.MULTILINE)


def test_a_job_that_dies_is_submitted_again_and_then_lost(fake, tmp_path, capsys):
    with opened(fake, tmp_path) as cluster:
        fake.script = [None, None, lambda: fake.kill(0), None, None, None, lambda: fake.kill(1)]
        (task,) = cluster.wait(add(cluster, tmp_path, "a"))
    assert len(fake.arrays) == 2
    assert isinstance(task.outcome, Lost)
    assert str(task.outcome) == "job 2_0 ended without a result: NODE_FAIL"
    assert "job 1_0 ended without a result: NODE_FAIL; submitting it again; log: " in capsys.readouterr().err


def test_a_job_that_needs_more_memory_is_not_submitted_again(fake, tmp_path):
    fake.ends = "OUT_OF_MEMORY"
    with opened(fake, tmp_path) as cluster:
        fake.script = [None, None, lambda: fake.kill(0)]
        (task,) = cluster.wait(add(cluster, tmp_path, "a"))
    assert "raise launcher.memory_gb" in str(task.outcome)
    assert len(fake.arrays) == 1


def test_silence_of_the_scheduler_is_waited_out(fake, tmp_path, capsys):
    with opened(fake, tmp_path) as cluster:
        fake.script = [lambda: None, None, None, *[lambda: None] * 5, lambda: fake.end(0)]
        (task,) = cluster.wait(add(cluster, tmp_path, "a"))
    assert task.outcome == {}
    assert len(fake.arrays) == 1
    assert capsys.readouterr().err.count("Slurm does not answer") == 2


def test_a_second_run_joins_the_jobs_of_the_first_and_does_the_rest(fake, tmp_path):
    """The first is killed; of what the second wants, one job does all, another a part, and one has ended."""
    first = opened(fake, tmp_path)
    add(first, tmp_path, "a", "b", "c")
    first._look()
    fake.kill(2)
    with opened(fake, tmp_path) as second:
        tasks = add(second, tmp_path, "a", "b d", "c")
        fake.script = [None, None, lambda: fake.end(0), lambda: fake.end(1), *[None] * 3]
        fake.script += [lambda: fake.end(3), lambda: fake.end(4)]
        assert {task.name for task in second.wait(tasks)} == {"a", "b d", "c"}
    submitted = [[item.key for work in works for item in work.items] for works in fake.arrays]
    assert submitted == [["a", "b", "c"], ["c"], ["b", "d"]]
    assert tasks[0].job == fake.jobs[0]


def test_the_same_work_asked_for_twice_is_one_job(fake, tmp_path):
    with opened(fake, tmp_path) as cluster:
        tasks = add(cluster, tmp_path, "a", "a")
        fake.script = [None, None, lambda: fake.end(0)]
        assert list(cluster.wait(tasks)) == tasks[:1]
    assert tasks[0] is tasks[1]


def test_a_mistake_of_the_user_in_one_job_cancels_the_others(fake, tmp_path):
    fake.script = [None, None, lambda: fake.end(0, ConfigError("device=cuda cannot be used"))]
    with pytest.raises(ConfigError, match="device=cuda"), opened(fake, tmp_path) as cluster:
        list(cluster.wait(add(cluster, tmp_path, "a", "b")))
    assert fake.jobs[1] in fake.cancelled


@pytest.mark.parametrize(("how", "cancelled"), [(KeyboardInterrupt, 2), (Stopped, 0)])
def test_ctrl_c_cancels_jobs_and_a_request_to_stop_leaves_them(how, cancelled, fake, tmp_path):
    def stop():
        raise how

    fake.script = [None, None, stop]
    with pytest.raises(how), opened(fake, tmp_path) as cluster:
        list(cluster.wait(add(cluster, tmp_path, "a", "b")))
    assert len(fake.cancelled) == cancelled


# Inside a job.


def test_a_mistake_of_the_user_is_what_a_job_returns(tmp_path):
    outcome = Work(train, [Item("wrong")], (tmp_path,), threads=1)()
    assert isinstance(outcome, ConfigError)
    assert Work(train, [Item("a")], (tmp_path,), threads=1)() == {}


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
            Work(lambda _: ask(), [], (), threads=1)()
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
        (["launcher.cpus=0"], "launcher.cpus=0: give at least 1"),
        (["launcher.hours=0"], "launcher.hours=0.0: give at least 0.1"),
        (["launcher.gpus=many"], "many"),
        (["launcher.name=pbs"], "unknown launcher.name=pbs; known: local, slurm"),
        (["launcher.partion=gpu"], "did you mean 'launcher.partition'"),
        (["launcher.sbatch.time=5"], "launcher.sbatch.time cannot be given: set launcher.hours instead"),
        (
            ["launcher.sbatch.open_mode=truncate"],
            "launcher.sbatch.open_mode cannot be given: the suite sets it",
        ),
    ],
)
def test_a_mistake_in_the_settings_gets_one_message(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["launcher=slurm", f"runs={tmp_path}/runs", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(message, lines[0]), lines[0]
