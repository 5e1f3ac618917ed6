"""What happens inside a job of the cluster: one piece of work, which makes room when the scheduler asks."""

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from filelock import FileLock

from bench.errors import USER_ERRORS, show_warning

# SIGTERM: cancelled, requeued or preempted. SIGUSR2: submitit's sign that the time of the job is nearly up.
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)
STOPPED = "stopped by the scheduler"


class Stopped(BaseException):
    """What is to be kept is saved; the work goes on in another turn of the job."""


class Stop:
    """Hears the scheduler. The signal interrupts whatever is at work, except where it is `postponed`."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.is_postponed = False
        self.last_step: int | None = None
        self.lock = Lock()

    def hear(self, number: int, _frame: Any = None) -> None:
        """A handler of signals; the first one counts."""
        if self.signal is None:
            self.signal = number
            if not self.is_postponed:
                raise Stopped

    @contextmanager
    def postponed(self):
        """Within, work looks for itself whether it should stop (`after_step`)."""
        self.is_postponed = True
        try:
            yield
        finally:
            self.is_postponed = False

    def check(self, failures: dict[str, str]) -> None:
        """Raise Stopped when the scheduler, perhaps by a signal to a process that reads data, made work fail."""
        if self.signal is not None and failures:
            raise Stopped

    def after_step(self, learner) -> str | None:
        """An `on_step` of train_group: students of a group stop after the same step, and go on together."""
        with self.lock:
            if self.signal is not None and self.last_step is None:
                self.last_step = learner.step + 1  # another one may be there already
            return STOPPED if self.last_step is not None and learner.step >= self.last_step else None


@dataclass
class Work:
    """What one job does: `function(items, *arguments, stop)`, which goes on from what it has saved.

    function: its result, or the user's mistake that it raises, is the job's. It gets a `Stop`.
    locks: no other job is at work on the same while these are held, whatever became of who submitted it.
    threads: of the CPU, for torch.
    """

    function: Callable
    items: list
    arguments: tuple
    locks: list[Path]
    threads: int

    def __call__(self) -> Any:
        warnings.showwarning = show_warning
        torch.set_num_threads(self.threads)
        stop = Stop()
        before = {number: signal.signal(number, stop.hear) for number in SIGNALS}
        try:
            with ExitStack() as held:
                for path in sorted(self.locks):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    held.enter_context(FileLock(path))
                return self.function(self.items, *self.arguments, stop)
        except USER_ERRORS as error:
            return error
        except Stopped:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            print(f"heard signal {stop.signal}; what is trained is saved", file=sys.stderr)
            if _wanted():
                before[signal.SIGUSR2](signal.SIGUSR2, None)  # submitit's handler: back into the queue
            sys.exit(128 + stop.signal)

    def checkpoint(self):
        """For submitit: what a requeued job does."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _wanted() -> bool:
    """Whether Slurm counts this job as running: its time is up, or it makes room for another.

    Then nobody puts it back into the queue if it ends by itself. In any other state it is cancelled, or back in
    the queue already.
    """
    command = ["scontrol", "--oneliner", "show", "job", os.environ.get("SLURM_JOB_ID", "")]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return "JobState=RUNNING" in found.split()
