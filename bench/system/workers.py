"""How many worker processes and threads there are, and how a worker behaves. torch loads where it is needed."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import ForkServerContext

SERVER_GONE = 255


def count_processes(wanted: int | str, device: str) -> int:
    """`auto`: one a core on a CPU, since small networks leave a second core idle; one on a GPU."""
    if isinstance(wanted, int):
        return wanted
    return os.cpu_count() or 1 if device == "cpu" else 1


def fresh_processes(*preloaded: str) -> ForkServerContext:
    """Makes processes that share nothing with this one; what takes seconds to import is there when they start.

    They are forks of a server that has imported the modules `preloaded` (the first call's) and done nothing else:
    CUDA and thread pools do not survive a fork of a process that uses them. A server that a scheduler's signal ends
    takes the exit codes of its forks along: they are SERVER_GONE then.
    """
    context = get_context("forkserver")
    context.set_forkserver_preload(list(preloaded))
    return context


def start_worker() -> None:
    """This process hears no Ctrl-C (its parent does, and ends it), and lives no longer than its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (connection.wait([parent.sentinel]), os._exit(1)), daemon=True).start()


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """torch computes on `count` threads (None: as before)."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
