"""launcher=slurm on a real Slurm of one node: the same results, whatever happens to its jobs and to the run."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import torch
from slurm import slurm

from bench.record import Record, read_records
from bench.run import slurm as launcher
from bench.system.workers import threads
from methods.checkpoint import read_file

pytestmark = pytest.mark.slow

PATIENCE = 300  # seconds; only a failing test waits that long
STEPS = 80
PACE = 0.2  # seconds a step; a bar shows progress every two seconds
QUICK = {"SECONDS_BETWEEN_LOOKS": 0.2, "SECONDS_OF_SILENCE": 1.0}
# Trainings take their time on any machine. What is defined here goes to the jobs with its source, not by its name.
COMMAND = f"""
import signal, sys
from bench.run import element, slurm
from bench.__main__ import main

class Slow(element.Element):
    def work(self):
        import time
        from bench.run.element import Element
        from bench.train.learner import Learner

        learn = Learner.learn
        Learner.learn = lambda *step: (time.sleep({PACE}), learn(*step))[1]
        Element.work(self)

slurm.Element = Slow
vars(slurm).update({QUICK})
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in a shell's background inherit that it is ignored
sys.exit(main(sys.argv[1:]))
"""
ON_SLURM = ["launcher=slurm", "launcher.retries=3"]
GRID = ["ablation=distillation", "seeds=[0]"]
# One student without a teacher, and a process that reads clips for it.
STUDENT = [*GRID, "ablation.baselines=[]", "~ablation.cells.distilled"]
STUDENT += [f"scale.student.steps={STEPS}", "scale.student.workers=1"]


@pytest.fixture(scope="session")
def configured() -> Iterator[Path]:
    with slurm() as path:
        yield path


@pytest.fixture(autouse=True)
def on_slurm(configured, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("SLURM_CONF", str(configured))
    for name, value in QUICK.items():
        monkeypatch.setattr(launcher, name, value)
    yield
    ask("scancel", f"--user={os.getuid()}")


@pytest.fixture
def start(tiny_run, tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts the command line in a process of its own, which does not outlive the test."""
    started = []

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-c", COMMAND, *tiny_run.arguments, *arguments]
        with (tmp_path / "told").open("a") as told:
            started.append(subprocess.Popen(command, stderr=told, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def wait_for(condition: Callable[[], object], what: str) -> None:
    for _ in range(10 * PATIENCE):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError(what)


def logs(runs: Path) -> list[Path]:
    """The logs of all jobs, the oldest first."""
    return sorted(runs.glob("jobs/*/*_log.out"), key=lambda path: int(re.match(r"\d+", path.name)[0]))


def steps_in(log: Path) -> list[int]:
    """What a training shows of its progress, from the line that tells where it starts."""
    return [int(step) for step in re.findall(rf"(\d+)/{STEPS} steps", log.read_text())]


def kill(job: str) -> None:
    """As Linux does for want of memory."""
    for line in ask("scontrol", "listpids", f"{job}.0").splitlines()[1:]:
        os.kill(int(line.split()[0]), signal.SIGKILL)


def scores(records: list[Record]) -> list[tuple]:
    return [(r.label, r.seed, r.status, r.jf_mean, r.j_mean, r.f_mean, r.per_sequence) for r in records]


def again_here(tiny_run, arguments: list[str]) -> list[Record]:
    """The records of the same run from its start, on this machine."""
    for folder in ("trained", "cells"):
        shutil.rmtree(tiny_run.runs / folder)
    with threads(1):  # as many as a job has
        assert tiny_run(*arguments) == 0
    return tiny_run.records


class Disturbed:
    """A run of STUDENT, watched."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.reached = 0  # the step at which it was stopped
        self.stops = 0

    def trains_in(self, number: int) -> str:
        """Wait until the job trains, beyond where it was stopped before; its id."""
        wait_for(lambda: len(logs(self.runs)) == number, f"job {number}")
        log = logs(self.runs)[-1]
        wait_for(lambda: any(step > self.reached for step in steps_in(log)), f"progress in {log}")
        return log.name.partition("_")[0]

    def saves(self) -> None:
        """Wait until a job that was asked to stop has saved what it reached."""
        self.stops += 1
        wait_for(
            lambda: sum(log.read_text().count("asked to stop") for log in logs(self.runs)) == self.stops, "end"
        )
        (last,) = self.runs.glob("trained/*/last.pt")
        before, self.reached = self.reached, read_file(last)["step"]
        assert before < self.reached < STEPS

    def comes_back(self, job: str) -> None:
        """Wait until the job runs again, without the two minutes for which Slurm holds it."""
        wait_for(lambda: self._state(job) == "PENDING", "a requeue")

        def is_released() -> bool:  # Slurm holds it once more when the last of its processes is gone
            ask("scontrol", "update", f"JobId={job}", "StartTime=now")
            return self._state(job) == "RUNNING"

        wait_for(is_released, "a start")

    def _state(self, job: str) -> str:
        return ask("squeue", "--noheader", "--format=%T", f"--jobs={job}").strip()


def test_a_training_that_is_disturbed_in_every_way_ends_with_the_same_weights(tiny_run, start, tmp_path):
    """Preempted, requeued, cancelled and killed; the run itself is killed, and started again."""
    there = Disturbed(tiny_run.runs)
    run = start(*STUDENT, *ON_SLURM)
    first = there.trains_in(1)
    run.kill()
    ask("sbatch", "--partition=high", "--ntasks=4", "--output=/dev/null", "--wrap=sleep 1")  # all of the node
    there.saves()
    ask("scancel", first)  # which Slurm has requeued
    run = start(*STUDENT, *ON_SLURM)
    second = there.trains_in(2)
    ask("scontrol", "requeue", second)
    there.saves()
    there.comes_back(second)
    there.trains_in(2)
    ask("scancel", second)
    there.saves()
    third = there.trains_in(3)
    kill(third)
    there.trains_in(4)
    assert steps_in(logs(tiny_run.runs)[-1])[0] >= there.reached  # from a checkpoint
    assert run.wait(PATIENCE) == 0
    assert len(logs(tiny_run.runs)) == 4
    told = (tmp_path / "told").read_text()
    assert f"job {second} ended without a result: CANCELLED; another takes its place" in told
    assert f"job {third} ended without a result: FAILED; another takes its place" in told

    (disturbed,) = tiny_run.records
    weights = read_file(Path(disturbed.weights))["state_dict"]
    (whole,) = again_here(tiny_run, STUDENT)
    assert scores([disturbed]) == scores([whole])
    undisturbed = read_file(Path(whole.weights))["state_dict"]
    assert weights.keys() == undisturbed.keys()
    assert all(torch.equal(weights[key], undisturbed[key]) for key in weights)


def test_a_cluster_gives_the_table_of_one_machine(tiny_run, capsys):
    assert tiny_run(*GRID, *ON_SLURM, "launcher.at_once=2", "launcher.sbatch.comment=tiny") == 0
    told = capsys.readouterr().err.replace("\r", "\n")  # a bar goes back to the start of its line
    jobs = dict(re.findall(r"^job (\S+); log: (.*)$", told, re.MULTILINE))
    # The run ends with the last record; the job that left it ends a little later.
    wait_for(lambda: all("Job completed successfully" in Path(log).read_text() for log in jobs.values()), "an end")
    texts = [Path(log).read_text() for log in jobs.values()]
    begun = re.findall(r"^(?:training|evaluating) .*$", "\n".join(texts), re.MULTILINE)
    names = ("copy_first_mask", "mobilevos_r18 (teacher)", "labels only", "distilled")
    assert {f"evaluating {name} seed 0" for name in names} <= set(begun)
    assert len(begun) == len(set(begun)) == 7  # nothing is done twice
    assert most_at_once(list(jobs)) == 2
    assert "Comment=tiny" in ask("scontrol", "show", "job", next(iter(jobs)))
    remote = tiny_run.records
    check_tracked(remote, tiny_run.runs)

    assert tiny_run(*GRID, *ON_SLURM) == 0
    assert "log: " not in capsys.readouterr().err  # all is finished
    assert scores(tiny_run.records) == scores(remote)
    local = again_here(tiny_run, GRID)
    assert scores(local) == scores(remote)
    assert {record.device for record in local} == {record.device for record in remote}


def check_tracked(records: list[Record], runs: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    for record in records:
        assert client.get_run(record.mlflow_run_id).data.metrics["jf_mean"] == pytest.approx(record.jf_mean)


def most_at_once(jobs: list[str]) -> int:
    """How many of the jobs Slurm had at work at the same time."""
    spans = []
    for job in jobs:
        shown = ask("scontrol", "--oneliner", "show", "job", job)
        start, end = (datetime.fromisoformat(re.search(rf"{key}Time=(\S+)", shown)[1]) for key in ("Start", "End"))
        spans.append((start, end))
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def test_two_runs_of_one_grid_train_each_network_once(tiny_run, start):
    runs = [start(*GRID, *ON_SLURM, f"output={tiny_run.out}{number}") for number in (0, 1)]
    assert [run.wait(PATIENCE) for run in runs] == [0, 0]
    begun = re.findall(r"^training .*$", "\n".join(log.read_text() for log in logs(tiny_run.runs)), re.MULTILINE)
    assert len(begun) == len(set(begun)) == 3  # the teacher, two students
    one, other = (read_records(Path(f"{tiny_run.out}{number}") / "records.jsonl") for number in (0, 1))
    assert scores(one) == scores(other)
    assert {record.status for record in one} == {"ok"}


def test_a_cell_that_fails_is_told_with_its_log(tiny_run):
    """One student diverges."""
    assert tiny_run(*STUDENT, "scale.student.lr=1e30", *ON_SLURM) == 1  # there is nothing else
    (record,) = tiny_run.records
    found = re.fullmatch(r"failed: (loss .*); log: (/.*_log\.out)", record.status)
    assert found
    assert f"/{STEPS} steps" in Path(found[2]).read_text()


def test_ctrl_c_cancels_the_jobs_which_save_first(tiny_run, start, tmp_path):
    run = start(*STUDENT, *ON_SLURM)
    wait_for(lambda: logs(tiny_run.runs) and any(steps_in(logs(tiny_run.runs)[-1])), "progress")
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(PATIENCE) == 130
    wait_for(lambda: not ask("squeue", "--noheader"), "an empty queue")
    (last,) = tiny_run.runs.glob("trained/*/last.pt")
    assert read_file(last)["step"] > 0
    assert re.match("interrupted: trained for", tiny_run.records[0].status)


def test_what_only_the_node_can_know_is_told_in_one_message(tiny_run, capsys):
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    assert tiny_run("job=evaluate", "method=copy_first_mask", "device=cuda", *ON_SLURM) == 2
    assert re.search(r"^error: device=cuda cannot be used", capsys.readouterr().err, re.MULTILINE)


def test_what_slurm_refuses_is_told_in_its_words(tiny_run, capsys):
    assert tiny_run("job=evaluate", "method=copy_first_mask", *ON_SLURM, "launcher.partition=gpu") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"error: launcher=slurm: sbatch: error: .*[Ii]nvalid partition", line), line
