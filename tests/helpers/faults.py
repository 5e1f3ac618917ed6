"""Command lines in processes of their own, with a fault in them; quick to start, as one imports for all."""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context, set_start_method
from pathlib import Path

FORKSERVER = get_context("forkserver")
FORKSERVER.set_forkserver_preload(["bench.jobs.ablate", "mlflow", "faults"])
PATIENCE = 180  # seconds; only a failing test waits that long


def nothing() -> None:
    pass


def start(arguments: list[str], told: Path, fault: Callable = nothing, *values):
    """`python -m bench *arguments` in a process, which first calls `fault(*values)`; its output goes to `told`."""
    told.touch()
    process = FORKSERVER.Process(target=_run, args=(arguments, str(told), fault, values))
    process.start()
    return process


def disturbed(arguments: list[str], told: Path, fault: Callable, *values) -> int:
    """Its exit code: minus the number of the signal that killed it."""
    process = start(arguments, told, fault, *values)
    process.join(PATIENCE)
    assert process.exitcode is not None, f"still at work: {told.read_text()[-2000:]}"
    return process.exitcode


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(50 * PATIENCE):
        if condition():
            return
        time.sleep(0.02)
    raise TimeoutError


def group_of(leader: int) -> list[str]:
    """The processes of a group that are at work."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:  # it has just ended
            continue
        state, _, group, *_ = rest.split()
        if state != "Z" and int(group) == leader:
            found.append(name)
    return found


def _run(arguments: list[str], told: str, fault: Callable, values: tuple) -> None:
    file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    set_start_method("fork", force=True)  # a command's own, and not this process's
    fault(*values)
    from bench.__main__ import main

    sys.exit(main(arguments))


# Faults, and what else a process does before it starts.


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def save_every_step() -> None:
    from bench.train import group

    group.SECONDS_BETWEEN_CHECKPOINTS = -1


def kill_before_step(step: int) -> None:
    """Of a training that saves after each."""
    from bench.train.learner import Learner

    save_every_step()
    honest = Learner.learn

    def learn(self, *rest):
        if self.step == step:
            kill()
        return honest(self, *rest)

    Learner.learn = learn


def kill_while_writing(name: str, time_of_it: int) -> None:
    """When a file of this name is written for the so-manieth time, and not yet in its place."""
    save_every_step()
    honest, times = os.fsync, []

    def fsync(descriptor: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.startswith(f".{name}."):
            times.append(descriptor)
            if len(times) == time_of_it:
                kill()
        honest(descriptor)

    os.fsync = fsync


def kill_while_judging(masks: int) -> None:
    """After so many masks."""
    from bench.score import evaluate

    honest, written = evaluate.write_mask, []

    def write_mask(path: Path, mask) -> None:
        honest(path, mask)
        written.append(path)
        if len(written) == masks:
            kill()

    evaluate.write_mask = write_mask


def stand_alone() -> None:
    """In a process group of its own, as a job of a scheduler, saving after each step."""
    os.setsid()
    save_every_step()


def limit_files(size: int) -> None:
    """No file may grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def note_work(folder: Path, slow: float = 0.0) -> None:
    """A file for each step that is learnt and each sequence evaluated, by whom; each takes `slow` seconds."""
    from bench.score import evaluate
    from bench.train.learner import Learner

    learn, judge = Learner.learn, evaluate._evaluate_sequence

    def note(what: str) -> None:
        (folder / f"{what} by {os.getpid()}").touch()
        time.sleep(slow)

    def noted_learn(self, *rest):
        note(f"{self.folder.name} {self.step}")
        return learn(self, *rest)

    def noted_judge(method, sequence, folder, device):
        note(f"{folder.name} {sequence.name}")
        return judge(method, sequence, folder, device)

    Learner.learn, evaluate._evaluate_sequence = noted_learn, noted_judge
