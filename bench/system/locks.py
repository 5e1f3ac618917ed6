"""Work that one process does at a time, on whatever machine that shares the folder."""

import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout

from bench.system.errors import say

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_BEGIN = 1.0  # until who holds a lock has said at what
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def hold(path: Path, seconds: float = 0, look: float = 0.05) -> AbstractContextManager[object]:
    """The lock file `path`, held; raises filelock's Timeout where another process has it for so long (-1: wait).

    The system lets a lock go with its process, however that ends. The file stays. In a folder that can only be read
    there is nothing to hold: what is finished there can be shown all the same.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path).acquire(timeout=seconds, poll_interval=look)
    except OSError as error:
        if error.errno not in READ_ONLY or not path.parent.is_dir():
            raise
        return nullcontext()


@contextmanager
def alone(path: Path, doing: str, agree: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file `path`; says so where another process is `doing` it and has to be waited for.

    agree: called before and after such a wait; raises where waiting is, or was, in vain.
    """
    try:
        held, waited = hold(path, SECONDS_TO_BEGIN), False
    except Timeout:
        agree()
        say(f"another run is {doing}: waiting for what it finds")
        held, waited = hold(path, -1, SECONDS_BETWEEN_LOOKS), True
    with held:
        if waited:
            agree()
        yield
