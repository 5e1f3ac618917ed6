"""How busy the machine is while something is timed, and whether its clock holds."""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

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
    load: float | None  # average over the last minute
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
    load_before: float | None
    load_after: float | None
    other_cores: float | None
    stolen_cores: float | None
    mhz_before: float | None
    mhz_after: float | None
    governor: str
    throttled: int | None

    def warnings(self) -> list[str]:
        """What makes the times unreliable, a sentence each; empty for a quiet machine."""
        others, found = self.other_cores, []
        if others is None and self.load_after is not None:
            others = max(0.0, self.load_after - self.threads)
        if others is not None and others > BUSY * self.cores:
            found.append(
                f"busy machine: others used {others:.1f} of {self.cores} cores meanwhile, so times are upper bounds"
            )
        if self.stolen_cores is not None and self.stolen_cores > 0.05 * self.cores:
            found.append(f"the hypervisor took {self.stolen_cores:.2f} of {self.cores} cores meanwhile")
        if self.throttled:
            found.append(f"the processor was throttled {self.throttled} times meanwhile")
        if self.mhz_before and self.mhz_after and self.mhz_after < SLOWER * self.mhz_before:
            found.append(f"the clock fell from {self.mhz_before:.0f} to {self.mhz_after:.0f} MHz meanwhile")
        if self.governor not in ("", "performance"):
            found.append(f"the clock's governor is '{self.governor}': 'performance' gives steadier times")
        return found

    def facts(self) -> dict:
        return asdict(self)


def look() -> Moment:
    """The counters now."""
    times = os.times()
    ticks = _cpu_ticks()
    second = os.sysconf("SC_CLK_TCK")
    return Moment(
        wall_s=time.perf_counter(),
        own_s=times.user + times.system + times.children_user + times.children_system,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        # user, nice, system, idle, iowait, irq, softirq, steal (proc(5))
        busy_s=sum(ticks[:3] + ticks[5:7]) / second if ticks else None,
        stolen_s=ticks[7] / second if ticks else None,
        mhz=_mhz(),
        throttled=_throttled(),
    )


def between(before: Moment, after: Moment, threads: int) -> Load:
    """What happened from one moment to the other, with `threads` threads of ours at work."""
    seconds = max(after.wall_s - before.wall_s, 1e-9)
    own = after.own_s - before.own_s
    busy, stolen = _grown(before.busy_s, after.busy_s), _grown(before.stolen_s, after.stolen_s)
    return Load(
        seconds=seconds,
        cores=os.cpu_count() or 1,
        threads=threads,
        load_before=before.load,
        load_after=after.load,
        other_cores=None if busy is None else max(0.0, busy - own) / seconds,
        stolen_cores=None if stolen is None else stolen / seconds,
        mhz_before=before.mhz,
        mhz_after=after.mhz,
        governor=_read(CPUS / "cpu0/cpufreq/scaling_governor"),
        throttled=_grown(before.throttled, after.throttled),
    )


def _grown(before, after):
    return None if before is None or after is None else after - before


def _cpu_ticks() -> list[int]:
    line = _read(Path("/proc/stat")).partition("\n")[0].split()
    return [int(value) for value in line[1:9]] if line[:1] == ["cpu"] and len(line) > 8 else []


def _mhz() -> float | None:
    lines = _read(Path("/proc/cpuinfo")).splitlines()
    values = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return sum(values) / len(values) if values else None


def _throttled() -> int | None:
    counts = [_read(path) for path in CPUS.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    return sum(int(count) for count in counts if count) if counts else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
