"""How busy the machine is while something is timed, and whether its clock holds."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

BUSY = 0.5  # share of the cores that others may use before times are called upper bounds
SLOWER = 0.8  # of the clock before: below that the processor was throttled
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

    def warnings(self) -> list[str]:
        """What makes the times unreliable, a sentence each; empty for a quiet machine."""
        others, stolen = self.other_cores, self.stolen_cores or 0.0
        before, after = self.mhz_before or 0.0, self.mhz_after or 0.0
        if others is None:
            others = max(0.0, self.load_after - self.threads)
        doubts = {
            f"busy machine: others used {others:.1f} of {self.cores} cores meanwhile, so times are upper bounds": (
                others > BUSY * self.cores
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


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
