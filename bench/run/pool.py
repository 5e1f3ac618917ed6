"""Items in processes of their own: side by side on a CPU's cores, and smaller when memory does not suffice."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import connection, get_context
from typing import Any

import torch
from tqdm import tqdm

from bench.run.work import SECONDS_BETWEEN_LOOKS, Failures, Item, describe, is_tight, take, work
from bench.system.errors import USER_ERRORS, show_warning
from bench.system.stopping import EXIT_CODE, Stopped, listening
from bench.system.workers import start_worker

Outcome = Failures | Exception


def work_apart(items: list[Item], write: Callable[[Item, Any], None], processes: int) -> Iterator[tuple[Item, Any]]:
    """As `work`, with at most `processes` items at once, each in a fresh process.

    What runs out of memory, or whose process is killed (as Linux does then), is tried again alone, and then in
    halves down to single items. With `processes=1` all happens in this process, one after the other.
    """
    return work(items, write) if processes == 1 else _apart(items, write, processes)


def _apart(items: list[Item], write: Callable, processes: int) -> Iterator[tuple[Item, Any]]:
    left, crowd = list(items), processes
    while left:
        tight: list[tuple[Item, Exception]] = []
        left, several = yield from _side_by_side(left, write, crowd, tight)
        for item, error in tight:
            if crowd > 1 and several:
                left.append(item)
            elif halves := item.halves():
                left += halves
            else:
                outcome = dict.fromkeys(item.keys, str(error))
                write(item, outcome)
                yield item, outcome
        crowd = 1


def _side_by_side(items: list[Item], write: Callable, processes: int, tight: list) -> Iterator:
    """Returns what still waits for what was `tight`, and whether there were several items."""
    context = get_context("spawn")  # CUDA and thread pools do not survive a fork
    processes = min(processes, len(items))
    threads = max(1, torch.get_num_threads() // processes)
    lock, places = context.RLock(), list(range(processes))
    waiting, running, started = list(items), {}, 0  # running: by the end of its pipe
    try:
        while waiting or running:
            while places:
                with ExitStack() as locks:  # which the process that does the item holds
                    item = take(waiting, locks)
                if item is None:
                    break
                started, place = started + 1, places.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                os.environ["TQDM_POSITION"] = str(place)  # a line of the terminal for each
                alone = Item(item.keys, item.do, item.locks)
                process = context.Process(target=_work, args=(sender, lock, threads, alone))
                process.start()
                sender.close()
                running[receiver] = process, item, place
            if not running:
                if not any(item.ready() for item in waiting):
                    break
                time.sleep(SECONDS_BETWEEN_LOOKS)  # another run holds them
            patience = SECONDS_BETWEEN_LOOKS if waiting and places else None
            for receiver in connection.wait(list(running), patience) if running else []:
                outcome = _received(running[receiver][0], receiver)
                _, item, place = running.pop(receiver)
                places.append(place)
                if isinstance(outcome, USER_ERRORS):
                    raise outcome  # before more time is spent
                if isinstance(outcome, MemoryError):
                    tight.append((item, outcome))
                    continue
                if isinstance(outcome, Exception):
                    outcome = dict.fromkeys(item.keys, str(outcome))
                write(item, outcome)
                yield item, outcome
    finally:
        os.environ.pop("TQDM_POSITION", None)
        for process, *_ in running.values():
            process.terminate()
        for process, *_ in running.values():
            process.join()  # a training saves what it has learnt; what was being written is whole or absent
    return waiting, started > 1


def _work(sender, lock, threads: int, item: Item) -> None:
    """The life of a process: one item, and no longer than its parent lives."""
    start_worker()
    warnings.showwarning = show_warning
    tqdm.set_lock(lock)
    torch.set_num_threads(threads)
    try:
        with listening():
            sender.send(_outcome(item))
    except Stopped:
        sys.exit(EXIT_CODE)


def _outcome(item: Item) -> Outcome:
    tight: list[MemoryError] = []

    def do() -> Any:
        try:
            return item.do()
        except Exception as error:
            if not is_tight(error):
                raise
            tight.append(MemoryError(describe(error)))
            return {}

    try:
        ((_, outcome),) = work([Item(item.keys, do, item.locks)], lambda *_: None)
    except USER_ERRORS as error:
        return error
    return tight[0] if tight else outcome


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
