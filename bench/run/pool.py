"""Items in processes of their own: side by side on a CPU's cores, and smaller when memory does not suffice."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partialmethod
from multiprocessing import connection
from typing import Any

import torch
from tqdm import tqdm

from bench.run.work import SECONDS_BETWEEN_LOOKS, Failures, Item, take, work
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
    lock, waiting = context.RLock(), list(items)
    tight: list[Item] = []
    places = list(range(min(processes, len(items))))
    company = False  # whether any item had others beside it
    running: dict[Any, tuple] = {}  # by the end of its pipe
    try:
        while waiting or running or tight:
            while places and (item := _take(waiting)):
                company |= bool(running)
                receiver, sender = context.Pipe(duplex=False)
                beside = len(running) + sum(other.ready() for other in waiting)  # or will be at once
                threads = torch.get_num_threads() // (1 + min(beside, len(running) + len(places) - 1))
                alone = Item(item.keys, item.do, item.locks, tells_tight=True)
                means = lock, dict(os.environ), places[0], max(1, threads)
                process = context.Process(target=_work, args=(sender, alone, *means))
                process.start()
                sender.close()
                running[receiver] = process, item, places.pop(0)
            if not running:
                if tight and not any(item.ready() for item in waiting):
                    waiting, tight, places, company = waiting + tight, [], [0], False
                elif waiting:
                    time.sleep(SECONDS_BETWEEN_LOOKS)  # another run holds them
                continue
            for end in connection.wait(list(running), SECONDS_BETWEEN_LOOKS if waiting and places else None):
                outcome = _received(running[end][0], end)
                _, item, place = running.pop(end)
                places.append(place)
                if isinstance(outcome, USER_ERRORS):
                    raise outcome  # before more time is spent
                if isinstance(outcome, MemoryError) and (again := [item] if company else item.halves()):
                    (tight if company else waiting).extend(again)
                    continue
                if isinstance(outcome, Exception):
                    outcome = dict.fromkeys(item.keys, str(outcome))
                write(item, outcome)
                yield item, outcome
    finally:
        for process, *_ in running.values():
            process.terminate()
        for process, *_ in running.values():
            process.join()  # a training saves what it has learnt; what was being written is whole or absent


def _take(waiting: list[Item]) -> Item | None:
    with ExitStack() as locks:  # which the process that does the item holds
        return take(waiting, locks)


def _work(sender, item: Item, lock, environment: dict[str, str], place: int, threads: int) -> None:
    """The life of a process: one item, and no longer than its parent lives. place: its line of the terminal."""
    start_worker()
    os.environ.clear()
    os.environ.update(environment)  # its server has that of the day it was started
    warnings.showwarning = show_warning
    tqdm.set_lock(lock)
    tqdm.__init__ = partialmethod(tqdm.__init__, position=place)  # type: ignore[assignment, method-assign]
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


def _received(process, receiver) -> Failures | Exception:
    """What a process sent as its last act; reading comes before waiting for its end, which may wait for that."""
    try:
        outcome = receiver.recv()
    except EOFError:
        outcome = None
    process.join()
    if outcome is not None:
        return outcome
    if process.exitcode in (EXIT_CODE, SERVER_GONE):  # a scheduler stops all processes of a job, in any order
        raise Stopped
    if process.exitcode == -signal.SIGKILL:
        return MemoryError("its process was killed, probably for want of memory")
    return RuntimeError(f"its process ended with exit code {process.exitcode}")
