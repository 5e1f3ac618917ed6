"""Items in processes of their own: side by side on a CPU's cores, and smaller when memory does not suffice."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import connection
from typing import Any

import torch

from bench.run.work import SECONDS_BETWEEN_LOOKS, Failures, Item, take, work
from bench.system import progress
from bench.system.errors import USER_ERRORS, show_warning
from bench.system.stopping import EXIT_CODE, Stopped, listening
from bench.system.workers import SERVER_GONE, fresh_processes, start_worker


def work_apart(items: list[Item], write: Callable[[Item, Any], None], processes: int) -> Iterator[tuple[Item, Any]]:
    """As `work`, with at most `processes` items at once, each in a fresh process.

    What runs out of memory, or whose process is killed (as Linux does then), is tried again alone, and then in
    halves down to single items. With `processes=1` all happens in this process, one after the other.
    """
    return work(items, write) if processes == 1 else _apart(items, write, processes)


def _apart(items: list[Item], write: Callable[[Item, Any], None], processes: int) -> Iterator[tuple[Item, Any]]:
    context = fresh_processes("bench.run.grid")
    waiting, free = list(items), min(processes, len(items))
    tight: list[Item] = []
    company = False  # whether any item had others beside it
    running: dict[Any, tuple] = {}  # by the end of its pipe
    try:
        while waiting or running or tight:
            while free and (item := _take(waiting)):
                company |= bool(running)
                receiver, sender = context.Pipe(duplex=False)
                beside = len(running) + sum(other.ready() for other in waiting)  # or will be at once
                threads = torch.get_num_threads() // (1 + min(beside, len(running) + free - 1))
                alone = Item(item.keys, item.do, item.locks, tells_tight=True)
                process = context.Process(target=_work, args=(sender, alone, dict(os.environ), max(1, threads)))
                process.start()
                sender.close()
                running[receiver] = process, item
                free -= 1
            if not running:
                if tight and not any(item.ready() for item in waiting):
                    waiting, tight, free, company = waiting + tight, [], 1, False
                elif waiting:
                    time.sleep(SECONDS_BETWEEN_LOOKS)  # another run holds them
                continue
            for end, received in _outcomes(running, SECONDS_BETWEEN_LOOKS if waiting and free else None):
                _, item = running.pop(end)
                free += 1
                if isinstance(received, USER_ERRORS):
                    raise received  # before more time is spent
                if isinstance(received, MemoryError) and (again := [item] if company else item.halves()):
                    (tight if company else waiting).extend(again)
                    continue
                failed = isinstance(received, Exception)
                outcome = dict.fromkeys(item.keys, str(received)) if failed else received
                write(item, outcome)
                progress.settle(item.keys)
                yield item, outcome
    finally:
        for process, *_ in running.values():
            process.terminate()
        for process, *_ in running.values():
            process.join()  # a training saves what it has learnt; what was being written is whole or absent


def _take(waiting: list[Item]) -> Item | None:
    with ExitStack() as locks:  # which the process that does the item holds
        return take(waiting, locks)


def _work(sender, item: Item, environment: dict[str, str], threads: int) -> None:
    """The life of a process: one item, and no longer than its parent lives."""
    start_worker()
    os.environ.clear()
    os.environ.update(environment)  # its server has that of the day it was started
    warnings.showwarning = show_warning
    progress.report_to(sender)
    torch.set_num_threads(threads)
    try:
        with listening():
            try:
                ((_, outcome),) = work([item], lambda *_: None)
            except USER_ERRORS as error:
                outcome = error
            sender.send(outcome)
    except Stopped:
        sys.exit(EXIT_CODE)


def _outcomes(running: dict[Any, tuple], seconds: float | None) -> Iterator[tuple[Any, Any]]:
    """(end of a pipe, outcome) of what has ended after at most so many seconds; how far the others are is shown."""
    for end in connection.wait(list(running), seconds):
        received = _received(running[end][0], end)
        if isinstance(received, progress.Activity):
            progress.show(received)
        else:
            yield end, received


def _received(process, receiver) -> Failures | Exception | progress.Activity:
    """How far a process is or, its last act, its outcome; reading comes before waiting for its end, which may wait
    for that."""
    try:
        outcome = receiver.recv()
    except EOFError:
        outcome = None
    if isinstance(outcome, progress.Activity):
        return outcome
    process.join()
    if outcome is not None:
        return outcome
    if process.exitcode in (EXIT_CODE, SERVER_GONE):  # a scheduler stops all processes of a job, in any order
        raise Stopped
    if process.exitcode == -signal.SIGKILL:
        return MemoryError("its process was killed, probably for want of memory")
    return RuntimeError(f"its process ended with exit code {process.exitcode}")
