"""How busy the machine is while something is timed, whether its clock holds, and timing again when it is quiet."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TypeVar

BUSY = 0.1  # share of the cores that others may use before times are called upper bounds
BUSY_BY_LOAD = 0.5  # the same where but the load average tells, which also holds what has just ended
TICKS = 0.05  # seconds by which the system's counters may be wrong
PATIENCE = 20.0  # seconds to wait for quiet, in all, for what is timed of one method
GLANCE = 1.0  # seconds over which it is seen whether others are at work
SLOWER = 0.8  # of the clock before: below that the processor was throttled
T = TypeVar("T")
CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Moment:
    """The counters of a moment; None or empty where the system (Linux) does not tell.

    busy_s, stolen_s: seconds of all cores since boot, at work and taken by a hypervisor. own_s: of this process.
    """

    wall_s: float
    own_s: float
    load: float  # average over the last minute
    busy_s: float | None
    stolen_s: float | None
    mhz: float | None  # mean over the cores
    throttled: int | None  # events since boot


@dataclass(frozen=True)
class Load:
    """The machine between two moments. Cores are averages over that time; this process is not among the others."""

    seconds: float
    cores: int
    threads: int
    load_before: float
    load_after: float
    other_cores: float | None
    stolen_cores: float | None
    mhz_before: float | None
    mhz_after: float | None
    governor: str
    throttled: float | None

    @property
    def others(self) -> float:
        """Cores that others used, by the load average where the system does not tell."""
        return max(0.0, self.load_after - self.threads) if self.other_cores is None else self.other_cores

    @property
    def busy(self) -> bool:
        """Whether others took more than a tenth of the cores; where the system does not tell, nobody is accused."""
        return self.other_cores is not None and self.other_cores > BUSY * self.cores + TICKS / self.seconds

    def warnings(self) -> list[str]:
        """What makes the times unreliable, a sentence each; empty for a quiet machine."""
        others, stolen = self.others, self.stolen_cores or 0.0
        before, after = self.mhz_before or 0.0, self.mhz_after or 0.0
        doubts = {
            f"busy machine: others used {others:.1f} of {self.cores} cores meanwhile, so times are upper bounds": (
                self.busy or (self.other_cores is None and others > BUSY_BY_LOAD * self.cores)
            ),
            f"the hypervisor took {stolen:.2f} of {self.cores} cores meanwhile": stolen > 0.05 * self.cores,
            f"the processor was throttled {self.throttled} times meanwhile": self.throttled,
            f"the clock fell from {before:.0f} to {after:.0f} MHz meanwhile": 0 < after < SLOWER * before,
            f"the clock's governor is '{self.governor}': 'performance' gives steadier times": (
                self.governor not in ("", "performance")
            ),
        }
        return [text for text, doubtful in doubts.items() if doubtful]


def look() -> Moment:
    """The counters now."""
    # user, nice, system, idle, iowait, irq, softirq, steal (proc(5))
    cpu = [int(value) / os.sysconf("SC_CLK_TCK") for value in _read(Path("/proc/stat")).split()[1:9]]
    clocks = [float(mhz) for mhz in re.findall(r"^cpu MHz\s*: (\S+)", _read(Path("/proc/cpuinfo")), flags=re.M)]
    throttled = [_read(path) for path in CPUS.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    return Moment(
        wall_s=time.perf_counter(),
        own_s=sum(os.times()[:4]),  # its children's too
        load=os.getloadavg()[0],
        busy_s=sum(cpu[:3] + cpu[5:7]) if cpu else None,
        stolen_s=cpu[7] if cpu else None,
        mhz=fmean(clocks) if clocks else None,
        throttled=sum(int(count) for count in throttled if count) if throttled else None,
    )


def between(before: Moment, after: Moment, threads: int) -> Load:
    """What happened from one moment to the other, with `threads` threads of ours at work."""
    seconds = max(after.wall_s - before.wall_s, 1e-9)
    busy, stolen = _grown(before.busy_s, after.busy_s), _grown(before.stolen_s, after.stolen_s)
    return Load(
        seconds=seconds,
        cores=os.cpu_count() or 1,
        threads=threads,
        load_before=before.load,
        load_after=after.load,
        other_cores=None if busy is None else max(0.0, busy - (after.own_s - before.own_s)) / seconds,
        stolen_cores=None if stolen is None else stolen / seconds,
        mhz_before=before.mhz,
        mhz_after=after.mhz,
        governor=_read(CPUS / "cpu0/cpufreq/scaling_governor"),
        throttled=_grown(before.throttled, after.throttled),
    )


class Quiet:
    """Times things while others leave the cores alone, as far as a little patience goes.

    patience: seconds to wait in all; None: PATIENCE. A Quiet is for what is timed of one method.
    """

    def __init__(
        self,
        threads: int,
        patience: float | None = None,
        look: Callable[[], Moment] = look,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.threads, self.look, self.sleep = threads, look, sleep
        self.patience = PATIENCE if patience is None else patience

    def timed(self, work: Callable[[], T]) -> tuple[T, bool]:
        """What `work` found, and whether others took more than a tenth of the cores meanwhile.

        If they did and it becomes quiet in time, it is timed once more: the quieter one counts.
        """
        found, load = self.watched(work)
        if load.busy and self.becomes_quiet():
            again, later = self.watched(work)
            if later.others < load.others:
                return again, later.busy
        return found, load.busy

    def watched(self, work: Callable[[], T]) -> tuple[T, Load]:
        before = self.look()
        found = work()
        return found, between(before, self.look(), self.threads)

    def becomes_quiet(self) -> bool:
        """Waits for it as long as there is patience."""
        while self.patience > 0:
            glance = min(GLANCE, self.patience)
            self.patience -= glance
            if not self.watched(partial(self.sleep, glance))[1].busy:
                return True
        return False


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
