"""Several processes, one a device: the first one's run, in which all of them take part where it trains."""

import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from multiprocessing import connection, get_context
from pathlib import Path

import torch
import torch.distributed as dist
from tqdm import tqdm

from bench.system.environment import pick_device
from bench.system.errors import USER_ERRORS, ConfigError, RanksError
from bench.system.threads import threads
from bench.system.workers import start_worker
from bench.train.place import Place
from bench.train.ranks import ALONE, Ranks
from bench.train.signed import read_signed, shared_key, sign

FOREVER = timedelta(days=365)  # the others wait while the first one evaluates
LEAVING = timedelta(minutes=1)
GRACE = 10.0  # seconds that the first one has to notice by itself that another is gone
GONE = re.compile("closed by peer|reset by peer|broken pipe|connection|socket", re.IGNORECASE)
GOES_ON = "the same command goes on from the last checkpoint"


def together(function: Callable, *shared, device: str, **own):
    """`function(ranks, *shared, device=...)` in all processes at once; what it returns in this one.

    The others have devices of their own and none of the other keyword arguments. Raises RanksError when a process
    does not come to the end.
    """
    if _leader is None:
        return function(ALONE, *shared, device=device, **own)
    return _leader.call(function, shared, device=device, **own)


def count_ranks() -> int:
    """How many processes take part in `together`."""
    return 1 if _leader is None else _leader.place.size


@contextmanager
def leading(place: Place, device: str, runs: Path) -> Iterator[None]:
    """In the first of several processes: within the block the others take part in what is done `together`.

    device: the configuration's. runs: the folder that all of them see. Raises ConfigError for too few GPUs.
    """
    global _leader  # noqa: PLW0603 - one a process, as torch.distributed's own group
    _leader = leader = Leader(place, device, runs)
    try:
        yield
    except BaseException:
        leader.close(failed=True)
        raise
    else:
        leader.close()
    finally:
        _leader = None


def follow(place: Place, device: str, runs: Path) -> int:
    """The life of a process after the first: does what that one does `together`, until it ends. The exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the first one hears it, saves and ends
    warnings.simplefilter("ignore")  # the first one tells
    tqdm.set_lock(threading.RLock())  # no bars here; tqdm's own lock would outlive this process
    try:
        group = Group(place, device, runs)
        while (call := group.heard()) is not None:
            function, shared = call
            function(group.join(), *shared, device=group.device)
        group.store.set(f"left {place.rank}", "")
        group.leave()
    except Exception as error:
        what = "another rank has ended"
        if not GONE.search(str(error)):
            what = _told(error)
        print(f"error: rank {place.rank} of {place.size}: {what}", file=sys.stderr, flush=True)
        return 2
    return 0


class Group:
    """What the processes have in common: a store for messages, and torch's process group once there is a call."""

    def __init__(self, place: Place, device: str, runs: Path) -> None:
        self.place, self.device, self.calls = place, _own_device(place, device), 0
        self.key = shared_key(runs)
        if place.launcher == "torchrun":
            self.store = next(dist.rendezvous("env://"))[0]
        else:
            self.store = dist.TCPStore(
                place.host, place.port, place.size, place.rank == 0, wait_for_workers=False
            )

    def tell(self, call: tuple | None) -> None:
        """To all others, from the first: a function with its arguments, or None for the end."""
        self.store.set(f"call {self.calls}", sign(call, self.calls, self.key))
        self.calls += 1

    def heard(self) -> tuple | None:
        self.store.set_timeout(FOREVER)
        call = read_signed(self.store.get(f"call {self.calls}"), self.calls, self.key)
        self.calls += 1
        return call

    def join(self) -> Ranks:
        """All others are there when this returns."""
        if not dist.is_initialized():
            cuda = self.device != "cpu"
            if cuda:
                torch.cuda.set_device(self.device)
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if cuda else "gloo",
                store=dist.PrefixStore("group", self.store),
                rank=self.place.rank,
                world_size=self.place.size,
            )
        return Ranks(self.place.rank, self.place.size)

    def leave(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()


class Leader:
    """The first process. Where no launcher has, it starts the others when there is something to do for them."""

    def __init__(self, place: Place, device: str, runs: Path) -> None:
        self.place, self.device, self.runs = place, device, runs
        self.group = Group(place, device, runs)
        self.others: list = []

    def call(self, function: Callable, shared: tuple, **own):
        local = self.place.launcher == "first"
        share = max(1, torch.get_num_threads() // self.place.size) if local else None
        if local and not self.others:
            self._start(share)
        self.group.tell((function, shared))
        with self._watched(), threads(share if own["device"] == "cpu" else None):
            try:
                return function(self.group.join(), *shared, **own)
            except USER_ERRORS:
                raise
            except Exception as error:
                raise RanksError(self._what_happened(error)) from error

    def close(self, failed: bool = False) -> None:
        """End the others: those that wait for a call leave, those that this process has started are gone then."""
        if failed:
            for other in self.others:
                other.kill()
        elif self.others or self.place.launcher != "first":
            with suppress(dist.DistError):  # one that has died meanwhile is not missed
                self.group.tell(None)
                # for the store goes with this process
                self.group.store.wait([f"left {rank}" for rank in range(1, self.place.size)], LEAVING)
        if not failed or self.group.device == "cpu":  # NCCL's group would wait for the lost process
            self.group.leave()
        for other in self.others:
            other.join()

    def _start(self, share: int) -> None:
        context = get_context("spawn")
        for rank in range(1, self.place.size):
            place = replace(self.place, rank=rank, local=rank, port=self.group.store.port)
            arguments = (place, self.device, self.runs, share)
            self.others.append(context.Process(target=_start_following, args=arguments))
        for other in self.others:
            other.start()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """A process on a GPU that waits for one that is gone cannot be woken: then a thread ends it."""
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                if connection.wait([other.sentinel for other in self.others], 0.5) and not over.wait(GRACE):
                    print(f"error: {self._what_happened()}", file=sys.stderr, flush=True)
                    os._exit(2)

        if self.others:
            threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _what_happened(self, error: Exception | None = None) -> str:
        if error is not None and not GONE.search(str(error)):
            return f"rank 0 of {self.place.size}: {_told(error)}; {GOES_ON}"
        ranks = {other.sentinel: (rank, other) for rank, other in enumerate(self.others, 1)}
        ends = []
        for sentinel in connection.wait(list(ranks), GRACE) if ranks else []:
            rank, other = ranks[sentinel]
            other.join()  # the end of a process comes after that of its connections
            ends.append(f"rank {rank} has ended with exit code {other.exitcode}")
        return f"{', '.join(ends) or 'another rank has ended'}, so the training cannot go on; {GOES_ON}"


_leader: Leader | None = None


def _start_following(place: Place, device: str, runs: Path, share: int) -> None:
    start_worker()
    torch.set_num_threads(share)
    code = follow(place, device, runs)
    os._exit(code)  # to take the interpreter down takes seconds, for which the first one would wait


def _own_device(place: Place, wanted: str) -> str:
    device = pick_device(wanted)
    if device == "cpu":
        return device
    available = torch.cuda.device_count()
    if place.launcher == "first" and available < place.size:
        raise ConfigError(
            f"ranks={place.size}, but this machine has {available} GPU(s): give at most that many"
        )
    return f"cuda:{place.local % available}"  # a task of Slurm's may see its own GPU alone


def _told(error: Exception) -> str:
    """The error in one line; the traceback of what is no mistake of the user's goes before."""
    if isinstance(error, USER_ERRORS):
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
