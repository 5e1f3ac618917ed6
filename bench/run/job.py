"""What happens inside a job of the cluster: one piece of work, which makes room when the scheduler asks."""

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bench.system.errors import USER_ERRORS, show_warning
from bench.system.stopping import EXIT_CODE, Stopped, listening

# SIGTERM: cancelled, requeued or preempted. SIGUSR2: submitit's sign that the time of the job is nearly up.
SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


@dataclass
class Work:
    """What one job does: `function(items, *arguments)`, which goes on from what an earlier turn has saved.

    What it returns is the job's result, and so is a mistake of the user's (USER_ERRORS) that it raises.
    threads: of the CPU, for torch.
    """

    function: Callable
    items: list
    arguments: tuple
    threads: int

    def __call__(self) -> Any:
        warnings.showwarning = show_warning
        torch.set_num_threads(self.threads)
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's handler
        try:
            with listening(*SIGNALS):
                return self.function(self.items, *self.arguments)
        except USER_ERRORS as error:
            return error
        except Stopped:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            print("asked to stop: what is trained is saved", file=sys.stderr)
            if _is_to_go_on():
                requeue(signal.SIGUSR2, None)
            sys.exit(EXIT_CODE)

    def checkpoint(self):
        """For submitit: what a requeued job does."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _is_to_go_on() -> bool:
    """Whether Slurm counts this job as running: its time is nearly up, or another one needs its place.

    If it ended now, nobody would put it back into the queue. A cancelled job, and one that Slurm itself has
    requeued, is in another state.
    """
    command = ["scontrol", "--oneliner", "show", "job", os.environ.get("SLURM_JOB_ID", "")]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return "JobState=RUNNING" in found.split()
