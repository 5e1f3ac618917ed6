"""Jobs in processes of their own: side by side on a CPU's cores, and smaller when memory does not suffice."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing import connection, get_context

import torch
from tqdm import tqdm

from bench.system.errors import USER_ERRORS, show_warning
from bench.system.stopping import EXIT_CODE, Stopped, listening
from bench.system.workers import start_worker

Failures = dict[str, str]  # key of an item -> why it failed
Outcome = Failures | MemoryError | Exception
# Errors of torch that have no class of their own: of the CPU's allocator, of a data loader with a killed worker.
TIGHT = ("can't allocate memory", "is killed by signal: Killed")


def run_jobs(
    function: Callable[..., Failures], jobs: list[list], arguments: tuple, processes: int
) -> Failures:
    """`function(job, *arguments)` for every job, a list of items with a `key`; at most `processes` at once.

    Returns the failures of all jobs together. A job that runs out of memory, or whose process is killed (as
    Linux does then), is tried again alone, and then in halves down to single items; `function` goes on from
    what it has saved. Any other error fails the job's items and no other job. A user's mistake in one of
    them (USER_ERRORS) ends the others and is raised here. With `processes=1` all happens in this process, one
    after the other.
    """
    failures: Failures = {}
    crowd = processes
    while jobs:
        outcomes = (
            _in_turn(function, jobs, arguments)
            if processes == 1
            else _side_by_side(function, jobs, arguments, crowd)
        )
        jobs, tight = [], [(job, outcome) for job, outcome in outcomes if isinstance(outcome, MemoryError)]
        for job, outcome in outcomes:
            if isinstance(outcome, dict):
                failures |= outcome
            elif not isinstance(outcome, MemoryError):
                failures |= dict.fromkeys((item.key for item in job), str(outcome))
        for job, outcome in tight:
            if crowd > 1 and len(outcomes) > 1:
                jobs.append(job)
            elif len(job) > 1:
                jobs += [job[: len(job) // 2], job[len(job) // 2 :]]
            else:
                failures[job[0].key] = str(outcome)
        crowd = 1
    return failures


def _in_turn(function: Callable, jobs: list[list], arguments: tuple) -> list[tuple[list, Outcome]]:
    return [(job, _or_mistake(_try(function, job, arguments))) for job in jobs]


def _side_by_side(
    function: Callable, jobs: list[list], arguments: tuple, processes: int
) -> list[tuple[list, Outcome]]:
    """Each job in a fresh process, which shares the cores evenly with the others."""
    context = get_context("spawn")  # CUDA and thread pools do not survive a fork
    processes = min(processes, len(jobs))
    threads = max(1, torch.get_num_threads() // processes)
    lock, places = context.RLock(), list(range(processes))
    waiting, running, outcomes = list(reversed(jobs)), {}, []  # running: by the end of its pipe
    try:
        while waiting or running:
            while waiting and places:
                job, place = waiting.pop(), places.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                os.environ["TQDM_POSITION"] = str(place)  # a line of the terminal for each
                process = context.Process(
                    target=_work, args=(sender, lock, threads, function, job, arguments)
                )
                process.start()
                sender.close()
                running[receiver] = process, job, place
            for receiver in connection.wait(list(running)):
                outcome = _received(running[receiver][0], receiver)
                _, job, place = running.pop(receiver)
                places.append(place)
                outcomes.append((job, _or_mistake(outcome)))
    finally:
        os.environ.pop("TQDM_POSITION", None)
        for process, *_ in running.values():
            process.terminate()
        for process, *_ in running.values():
            process.join()  # a training saves what it has learnt; what was being written is whole or absent
    return outcomes


def _work(sender, lock, threads: int, function: Callable, job: list, arguments: tuple) -> None:
    """The life of a process: one job, and no longer than its parent lives."""
    start_worker()
    warnings.showwarning = show_warning
    tqdm.set_lock(lock)
    torch.set_num_threads(threads)
    try:
        with listening():
            sender.send(_try(function, job, arguments))
    except Stopped:
        sys.exit(EXIT_CODE)


def _try(function: Callable, job: list, arguments: tuple) -> Outcome:
    try:
        return function(job, *arguments)
    except USER_ERRORS as error:
        return error
    except Exception as error:
        text = str(error)
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in TIGHT):
            return MemoryError(f"out of memory: {(text.splitlines() or ['allocation failed'])[0]}")
        traceback.print_exc()
        return RuntimeError(f"{type(error).__name__}: {text}")


def _received(process, receiver) -> Outcome:
    """What a process sent as its last act; reading comes before waiting for its end, which may wait for that."""
    try:
        outcome = receiver.recv()
    except EOFError:
        outcome = None
    process.join()
    if outcome is not None:
        return outcome
    if process.exitcode == EXIT_CODE:  # a scheduler stops all processes of a job, in any order
        raise Stopped
    if process.exitcode == -signal.SIGKILL:
        return MemoryError("its process was killed, probably for want of memory")
    return RuntimeError(f"its process ended with exit code {process.exitcode}")


def _or_mistake(outcome: Outcome) -> Outcome:
    """The outcome, unless it is a mistake of the user's: that is raised before more time is spent."""
    if isinstance(outcome, USER_ERRORS):
        raise outcome
    return outcome
