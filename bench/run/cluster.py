"""Work on a cluster: submitted as arrays, waited for, submitted again when it dies, never done twice at once."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from tqdm import tqdm

from bench.run.job import Work
from bench.run.scheduler import Job, Scheduler
from bench.system.errors import USER_ERRORS
from bench.system.files import read_json, write_json
from bench.system.stopping import Stopped

SECONDS_BETWEEN_LOOKS = 2.0  # at the files of the jobs
SECONDS_BETWEEN_QUESTIONS = 10.0  # to the scheduler
# A job that is not in the queue may have left a result that a shared file system shows only later.
SECONDS_OF_SILENCE = 90.0


class Lost(Exception):
    """A job was killed, and so were those submitted in its place."""


@dataclass(eq=False)
class Task:
    """Work for one job, and what has become of it.

    outcome: what its function returned, or `Lost`; None until then.
    job: at work on it; None before it is submitted, and after one has died.
    """

    name: str
    keys: list[str]
    work: Work
    job: Job | None = None
    shares: bool = False  # that job is another run's, and does but a part of this
    deaths: int = 0
    missed_since: float | None = None
    outcome: Any = None


class Cluster:
    """Jobs of one run. An error or Ctrl-C cancels them; a run that is killed or asked to stop leaves them at work.

    folder: for logs and other files of jobs, and for notes of who is at work on what. The next run finds there
    what is still at work, and waits for it instead of doing it again.
    """

    def __init__(self, scheduler: Scheduler, folder: Path, retries: int, threads: int) -> None:
        self.scheduler, self.folder, self.retries, self.threads = scheduler, folder, retries, threads
        self.files = folder / time.strftime("%Y-%m-%d_%H%M%S")
        self.tasks: dict[tuple[str, ...], Task] = {}
        self.queue: dict[str, str] | None = {}
        self.asked = float("-inf")

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, kind, *_) -> None:
        jobs = [task.job for task in self.tasks.values() if task.job is not None and task.outcome is None]
        if jobs and kind is not None and issubclass(kind, Exception | KeyboardInterrupt):
            if issubclass(kind, Stopped):
                _tell(f"{len(jobs)} jobs stay at work or in the queue")
            else:
                self.scheduler.cancel(jobs)

    def add(self, function: Callable, jobs: list[list], arguments: tuple, name: Callable) -> list[Task]:
        """A task for each job, a list of items with a `key`; `name(job)` is for people.

        All that is added before the next `wait` is submitted then as one array.
        """
        found = []
        for items in jobs:
            keys = [f"{function.__name__}-{item.key}" for item in items]
            work = Work(function, items, arguments, self.threads)
            found.append(self.tasks.setdefault(tuple(keys), Task(name(items), keys, work)))
        return found

    def wait(self, tasks: list[Task]) -> Iterator[Task]:
        """These tasks, as they end. A mistake of the user's (USER_ERRORS) in any task is raised."""
        waiting = list(dict.fromkeys(tasks))
        with tqdm(total=len(waiting), desc="slurm", unit="job", mininterval=2, disable=not waiting) as bar:
            while waiting:
                self._look()
                ended = [task for task in waiting if task.outcome is not None]
                waiting = [task for task in waiting if task.outcome is None]
                bar.update(len(ended))
                bar.set_postfix_str(self._states(waiting), refresh=bool(ended))
                yield from ended
                if waiting and not ended:
                    time.sleep(SECONDS_BETWEEN_LOOKS)

    def _look(self) -> None:
        """Bring all tasks up to date."""
        if time.monotonic() - self.asked > SECONDS_BETWEEN_QUESTIONS:
            self._ask()
        for task in self.tasks.values():
            if task.outcome is None and task.job is not None:
                self._follow(task)
        if any(task.outcome is None and task.job is None for task in self.tasks.values()):
            self._submit()

    def _ask(self) -> None:
        before, self.queue = self.queue, self.scheduler.queue()
        self.asked = time.monotonic()
        if self.queue is None and before is not None:
            _tell("Slurm does not answer (squeue); waiting until it does")

    def _follow(self, task: Task) -> None:
        job = task.job
        if job.has_ended:
            kind, value = job.result()
            if kind != "success":
                self._bury(task, (value.strip().splitlines() or ["error"])[-1])
            elif isinstance(value, USER_ERRORS):
                raise value
            elif task.shares:
                task.job = None  # one of ours does the rest
            else:
                task.outcome = value
        elif self.queue is None or job.id in self.queue:
            task.missed_since = None
        elif task.missed_since is None:
            task.missed_since = time.monotonic()
        elif time.monotonic() - task.missed_since > SECONDS_OF_SILENCE:
            self._bury(task, self.scheduler.ending(job))

    def _bury(self, task: Task, why: str) -> None:
        """The job of the task is dead: it gets another, or ends so."""
        job, task.job, task.missed_since = task.job, None, None
        task.deaths += 1
        text = f"job {job.id} ended without a result: {why}"
        if "OUT_OF_MEMORY" in why:
            text += "; raise launcher.memory_gb"
        elif task.deaths <= self.retries:
            _tell(f"{text}; submitting it again; log: {job.log}")
            return
        task.job, task.outcome = job, Lost(text)

    def _submit(self) -> None:
        """One array for all that no job is at work on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / "lock"):  # of two runs, the second finds the notes of the first
            self._ask()
            if self.queue is None:
                return
            new = []
            for task in self.tasks.values():
                if task.outcome is None and task.job is None and not self._join(task):
                    new.append(task)
            jobs = self.scheduler.submit([task.work for task in new], self.files) if new else []
            for task, job in zip(new, jobs, strict=True):
                task.job, task.shares = job, False
                for key in task.keys:
                    write_json(self._note(key), {"job": job.id, "folder": str(job.folder), "keys": task.keys})
                _tell(f"job {job.id}: {task.name}; log: {job.log}")
        self._ask()

    def _join(self, task: Task) -> bool:
        """Wait for a job of an earlier run, or of another one at the same time, that is at work on any of it."""
        for key in task.keys:
            note = read_json(self._note(key), dict)
            job = note and Job(note["job"], Path(note["folder"]))
            if job and job.id in self.queue and not job.has_ended:
                task.job, task.shares = job, not set(task.keys) <= set(note["keys"])
                _tell(f"job {job.id} is at work already: {task.name}; log: {job.log}")
                return True
        return False

    def _note(self, key: str) -> Path:
        return self.folder / "at_work" / f"{key}.json"

    def _states(self, tasks: list[Task]) -> str:
        """`2 running, 3 pending (Resources)`"""
        states = [(self.queue or {}).get(task.job.id, "") for task in tasks if task.job]
        return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states) if state)


def _tell(text: str) -> None:
    tqdm.write(text, file=sys.stderr)
