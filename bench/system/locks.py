"""Work that one process does at a time, on whatever machine that shares the folder."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

SECONDS_BETWEEN_LOOKS = 0.5


@contextmanager
def alone(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file `path`; says so where another process is `doing` it and has to be waited for.

    The system lets a lock go with its process, however that ends. The file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        print(f"another run is {doing}: waiting for what it finds", file=sys.stderr)
        held = lock.acquire(poll_interval=SECONDS_BETWEEN_LOOKS)
    with held:
        yield
