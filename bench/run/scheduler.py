"""Slurm, through submitit: submitting arrays of jobs, and asking what has become of them.

submitit takes the states of jobs from Slurm's accounting, which not every cluster has; without it a job that was
killed is UNKNOWN to it for ever. So here a job has ended when it left its result, or is no longer in the queue.
"""

import math
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.plan.keys import Slurm
from bench.system.errors import ConfigError

NAME = "vos-bench"
SECONDS_BEFORE_TIME_IS_UP = 120  # when a job is told to save
TURNS = 100  # of a job that needs longer than `hours`
PATIENCE = 60  # seconds that a program of Slurm may take


@dataclass
class Scheduler:
    """The Slurm that this machine belongs to."""

    settings: Slurm

    def submit(self, element: Callable, count: int, folder: Path) -> list:
        """So many jobs (submitit.Job) that all do the same, as one array.

        Raises ConfigError with sbatch's own words when it refuses.
        """
        import submitit

        settings = self.settings
        executor = submitit.SlurmExecutor(folder, max_num_timeout=TURNS)
        executor.update_parameters(
            job_name=NAME,
            time=max(1, math.ceil(60 * settings.hours)),
            cpus_per_task=settings.cpus,
            stderr_to_stdout=True,
            signal_delay_s=SECONDS_BEFORE_TIME_IS_UP,
            additional_parameters={"requeue": True, **settings.sbatch},
            srun_args=[f"--cpus-per-task={settings.cpus}"],  # which srun no longer takes from sbatch
            partition=settings.partition,
            account=settings.account,
            gpus_per_node=settings.gpus or None,
            mem=f"{math.ceil(1024 * settings.memory_gb)}MB" if settings.memory_gb else None,
        )
        try:
            with _outside_any_job():
                return executor.submit_array([element] * count)
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise ConfigError(f"launcher=slurm: {lines[-1] if lines else 'sbatch failed'}") from None

    def queue(self) -> dict[str, str] | None:
        """The state of every job of this user that has not ended: {"12_3": "pending (Resources)"}.

        None while Slurm does not answer.
        """
        found = ask("squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i|%T|%r")
        if found is None:
            return None
        states = {}
        for line in found.splitlines():
            name, state, reason = line.split("|", 2)
            waits = state == "PENDING" and reason != "None"
            states[name] = state.lower() + (f" ({reason})" if waits else "")
        return states

    def result(self, job) -> tuple[str, Any] | None:
        """("success", what it returned) or ("error", its traceback); None where it has not come to its end."""
        from submitit.core.utils import pickle_load

        return pickle_load(job.paths.result_pickle) if job.paths.result_pickle.exists() else None

    def ending(self, job) -> str:
        """The last state of a job that has left the queue, such as TIMEOUT, for as long as Slurm knows it."""
        found = re.search(r"JobState=(\w+)", ask("scontrol", "--oneliner", "show", "job", job.job_id) or "")
        return found[1] if found else "unknown"

    def cancel(self, jobs: list) -> None:
        if jobs:
            ask("scancel", *(job.job_id for job in jobs))


def ask(*command: str) -> str | None:
    """What a program prints; None when it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


@contextmanager
def _outside_any_job() -> Iterator[None]:
    """Within a job Slurm's variables describe it, and would shape the jobs that are submitted from there."""
    from submitit.helpers import clean_env

    where = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
    with clean_env() if "SLURM_JOB_ID" in os.environ else nullcontext():
        os.environ.update(where)
        yield
