"""The same command in several processes, one a device, that train every network together: torchrun's work."""

import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from bench.system.environment import pick_device
from bench.system.errors import ConfigError
from bench.system.stopping import EXIT_CODE, Stopped
from bench.train.place import Place
from bench.train.ranks import ranks_here

PATIENCE = timedelta(days=7)  # the others wait while the first one evaluates
GONE = re.compile("closed by peer|reset by peer|broken pipe|connection|socket", re.IGNORECASE)
GOES_ON = "the same command goes on from the last checkpoint"


def launch(count: int, device: str, arguments: list[str]) -> int:
    """`python -m bench *arguments` in `count` processes of this machine; the exit code.

    Raises ConfigError for too few GPUs.
    """
    from torch.distributed import run  # a second, which those that are launched save

    if pick_device(device) != "cpu" and (available := torch.cuda.device_count()) < count:
        raise ConfigError(f"ranks={count}, but this machine has {available} GPU(s): give at most that many")
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, torch.get_num_threads() // count)))
    logging.disable()  # torchrun's own account of an end that its processes have told
    try:
        run.run(run.parse_args(["--standalone", f"--nproc-per-node={count}", "-m", "bench", *arguments]))
    except ChildFailedError as error:
        rank, end = next(iter(error.failures.items()))  # the first; torchrun has ended the others
        if end.exitcode > 0:
            return end.exitcode
        print(f"error: rank {rank} of {count} has ended with exit code {end.exitcode}; {GOES_ON}", file=sys.stderr)
        return 2
    except SignalException as error:
        return 128 + error.sigval
    return 0


@contextmanager
def joined(place: Place, device: str) -> Iterator[None]:
    """Within the block this process is one of several, which end together; then `ranks_here` knows of them.

    Those after the first print nothing, but what ends them all is raised where it came first, whichever that is;
    elsewhere it is SystemExit.
    """
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:  # a task of Slurm's may see its own GPU alone
        torch.cuda.set_device(place.local % torch.cuda.device_count())
    store, *_ = next(dist.rendezvous(f"tcp://{place.host}:{place.port}", place.rank, place.size))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=dist.PrefixStore("group", store),
        rank=place.rank,
        world_size=place.size,
        timeout=PATIENCE,
    )
    own = sys.stdout, sys.stderr
    if place.rank > 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the first one marks what is unfinished
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until this process ends
    try:
        yield
        ranks_here().from_first(lambda: None)  # a launcher may end all when one has left
    except BaseException as error:
        first = False
        with suppress(dist.DistError):
            first = store.add("told", 1) == 1
        if not first:
            raise SystemExit(EXIT_CODE if isinstance(error, Stopped) else 2) from None
        sys.stdout, sys.stderr = own
        if isinstance(error, RuntimeError) and GONE.search(str(error)):
            raise SystemExit(f"error: another rank has ended; {GOES_ON}") from None
        raise
    dist.destroy_process_group()
