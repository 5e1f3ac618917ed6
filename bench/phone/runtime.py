"""What a runtime for phones is: how programs are made for it on this computer, and started and read on a phone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.phone.adb import Answer, Phone
from bench.plan.keys import PhoneSettings
from bench.system.errors import ConfigError, DiskFull, first_line
from methods.steps import Step


class ProcessFailed(Exception):
    """A process on the phone failed; the phone did not."""


@dataclass(frozen=True)
class Bundle:
    """Files for one folder of the phone, and what starts the runtime there.

    probe: arguments to which a runtime that starts answers with a text that holds `answer`. hint: why it may not.
    """

    files: tuple[Path, ...]
    command: str
    key: str  # hash of what it was made from
    name: str  # of the runtime, with its version
    libc: str
    probe: str
    answer: str
    hint: str


@dataclass(frozen=True)
class Cargo:
    """files: to be copied. computed: what the programs give on this computer, for runtimes that keep it to
    themselves on the phone.
    """

    key: str
    stages: list[Step]
    files: tuple[Path, ...]
    computed: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)

    @cached_property
    def answers(self) -> dict[str, tuple[Tensor, ...]]:
        """What the method itself gives for each step's inputs."""
        with torch.no_grad():
            return {step.name: tuple(step.run(step.inputs).values()) for step in self.stages}


@dataclass(frozen=True)
class Task:
    """What one process does: at least `runs` runs and `seconds` of them, none begun after `max_seconds`.

    mask: of the cores that it is held on, as `taskset` takes it; None leaves it free.
    """

    stage: Step
    threads: int
    mask: str | None
    warmups: int
    runs: int
    seconds: float
    max_seconds: float


@dataclass(frozen=True)
class Finding:
    """times_ns int64 (runs,), or in its place the `statistics` of a process that does not tell each run: runs, and
    median, p95 and min in milliseconds; the step's outputs; what else a runtime tells.
    """

    times_ns: np.ndarray | None
    outputs: tuple[Tensor, ...]
    load_ms: float | None
    peak_rss_mb: float | None = None
    statistics: dict[str, float] | None = None


@dataclass(frozen=True)
class Runtime:
    """check(settings): raises ConfigError for what is missing on this computer.

    bundle(abi, cache, settings): made once into a folder below `cache`; ConfigError where that fails.
    pack(steps, key, folder): the files of these steps; a program that lies there is taken as it is. ConfigError
    for a network that the runtime cannot take.
    arguments(task, remote): of the bundle's command, with the cargo in the phone's folder `remote`.
    read(phone, answer, task, cargo, remote, local): what a process gave, its files being fetched into `local`; None
    where it said nothing of its runs. ProcessFailed where its outputs are not what was expected, LinkLost.
    libraries: distributions on which a program depends.
    """

    check: Callable[[PhoneSettings], object]
    bundle: Callable[[str, Path, PhoneSettings], Bundle]
    pack: Callable[[list[Step], str, Path], Cargo]
    arguments: Callable[[Task, str], str]
    read: Callable[[Phone, Answer, Task, Cargo, str, Path], Finding | None]
    libraries: tuple[str, ...]


@contextmanager
def exporting(runtime: str) -> Iterator[None]:
    """What an exporter raises becomes a ConfigError of one line."""
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:  # exporters raise errors of many kinds
        raise ConfigError(f"{runtime} cannot take this network: {first_line(error)}") from error
