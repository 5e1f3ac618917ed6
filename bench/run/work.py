"""The one loop by which everything is done: in this process, in workers beside it and in jobs of a cluster."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from filelock import Timeout

from bench.system import progress
from bench.system.errors import USER_ERRORS, say
from bench.system.locks import hold
from methods.outside import FOREIGN

SECONDS_BETWEEN_LOOKS = 0.5
Failures = dict[str, str]  # key -> why it failed
# Errors of torch that have no class of their own: of the CPU's allocator, of a data loader with a killed worker.
TIGHT = ("can't allocate memory", "is killed by signal: Killed")


def always() -> bool:
    """In place of a lambda, as items go to other processes."""
    return True


@dataclass(frozen=True)
class Item:
    """Something that is done once, by whoever holds its locks.

    keys: of all that it is made of. do: does it, and goes on from what was saved; gives an outcome, for trainings
    their `Failures`. locks: {lock file: what its holder does}, for people. ready: whether all that it needs is
    there. done: whether nothing is left to do. halves: two items in its place, where memory is short; none when it
    cannot be divided. may_fail: an error is `Failures` of all keys; otherwise it is raised. tells_tight: want of
    memory is an outcome, a MemoryError. efforts: what each of its keys takes, by stage (see bench.system.progress).
    """

    keys: tuple
    do: Callable[[], Any]
    locks: dict[Path, str] = field(default_factory=dict)
    ready: Callable[[], bool] = always
    done: Callable[[], bool] = bool
    halves: Callable[[], list["Item"]] = list
    may_fail: bool = True
    tells_tight: bool = False
    efforts: progress.Efforts = field(default_factory=dict)


def work(
    items: list[Item],
    write: Callable[[Item, Any], None],
    patience: float | None = None,
    begin: Callable[[Item], None] = lambda _: None,
) -> Iterator[tuple[Item, Any]]:
    """Take what is ready and no lock holds, do it, `write` its outcome while the lock is held, and yield it.

    What others hold is come back to, and is done by then, or left to be done. A mistake of the user's (USER_ERRORS)
    is raised. patience: seconds without anything to take after which the rest is left to others; None: for ever.
    begin: called before each.
    """
    left, idle_since = list(items), time.monotonic()
    told: set[str] = set()
    while left:
        with ExitStack() as locks:
            if (item := take(left, locks)) is not None:
                begin(item)
                try:
                    with progress.at(item.keys):
                        outcome = item.do()
                except USER_ERRORS:
                    raise
                except FOREIGN as error:
                    if not item.may_fail:
                        raise
                    tight, why = is_tight(error), describe(error)
                    if tight and (halves := item.halves()):
                        left += halves
                        continue
                    outcome = MemoryError(why) if tight and item.tells_tight else dict.fromkeys(item.keys, why)
                write(item, outcome)
                progress.settle(item.keys)
        if item is not None:
            yield item, outcome
            idle_since = time.monotonic()
        elif patience is not None and time.monotonic() - idle_since > patience:
            return
        elif left:
            waited_for = {doing for other in left if other.ready() and (doing := held_by_another(other))}
            for doing in sorted(waited_for - told):
                say(f"another run is {doing}: waiting for what it finds")
            told |= waited_for
            time.sleep(SECONDS_BETWEEN_LOOKS)


def take(left: list[Item], locks: ExitStack) -> Item | None:
    """The first item that is ready and that nobody holds: now `locks` does. Those that are done are dropped."""
    for item in list(left):
        with ExitStack() as own:
            if not item.ready() or held_by_another(item, own):
                continue
            left.remove(item)
            if not item.done():
                locks.push(own.pop_all())
                return item
            progress.settle(item.keys)
    return None


def held_by_another(item: Item, own: ExitStack | None = None) -> str:
    """What another process does that holds one of its locks; "" where nobody did, and now `own` holds all."""
    with ExitStack() as mine:
        for path in sorted(item.locks):
            try:
                mine.enter_context(hold(path))
            except Timeout:
                return item.locks[path]
        if own is not None:
            own.push(mine.pop_all())
    return ""


def is_tight(error: BaseException) -> bool:
    """Whether it is for want of memory."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(w in str(error) for w in TIGHT)


def describe(error: BaseException) -> str:
    """Why something failed, in a line; the traceback of anything but a want of memory is printed."""
    if is_tight(error):
        return f"out of memory: {(str(error).splitlines() or ['allocation failed'])[0]}"
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error}"
