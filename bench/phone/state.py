"""What a phone is and how warm, full and free it is before and after a measurement."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.phone.adb import LinkLost, Phone, PhoneError

FOLDER = "/data/local/tmp"
STEP_S = 10.0  # between two looks at a phone that has to cool
CHARGING = "2"  # android.os.BatteryManager.BATTERY_STATUS_CHARGING
CPUFREQ = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"
CPU_FILES = ("cpuinfo_max_freq", "scaling_max_freq", "scaling_cur_freq", "scaling_governor")
ASK_CPUS = f'for f in {" ".join(f"{CPUFREQ}/{file}" for file in CPU_FILES)}; do echo "$f $(cat "$f")"; done'
# A field of State -> what asks the phone for it, where in its answer that stands, and what is made of it.
FACTS: dict[str, tuple[str, str, Callable[[re.Match], Any]]] = {
    "model": ("getprop ro.product.model", r".+", lambda told: told[0]),
    "android_version": ("getprop ro.build.version.release", r".+", lambda told: told[0]),
    "abi": ("getprop ro.product.cpu.abi", r".+", lambda told: told[0]),
    "battery_percent": (
        "dumpsys battery",
        r"^\s*level: (\d+)(?:\s+scale: (\d+))?",
        lambda told: 100 * int(told[1]) / int(told[2] or 100),
    ),
    "battery_c": ("dumpsys battery", r"^\s*temperature: (-?\d+)", lambda told: int(told[1]) / 10),
    "plugged": ("dumpsys battery", r"(?s)powered: .*", lambda told: "powered: true" in told[0]),
    "charging": ("dumpsys battery", r"^\s*status: (\d+)", lambda told: told[1] == CHARGING),
    "thermal_status": ("dumpsys thermalservice", r"Thermal Status: (\d+)", lambda told: int(told[1])),
    "low_power": ("settings get global low_power", r"^-?\d+$", lambda told: told[0] == "1"),
    "siop_level": ("getprop sys.siop.level", r"^-?\d+$", lambda told: int(told[0])),
}  # fmt: skip
QUESTIONS = list(dict.fromkeys([ASK_CPUS, *(question for question, _, _ in FACTS.values())]))


@dataclass(frozen=True)
class Core:
    """A core of the CPU; what the phone does not tell is None."""

    number: int
    max_mhz: float  # what it is built for
    limit_mhz: float | None  # what it may do now: lower when the phone throttles
    now_mhz: float | None
    governor: str | None


@dataclass(frozen=True)
class State:
    """Facts of a phone at one moment; what it does not tell is None (`cores`: empty)."""

    model: str | None
    android_version: str | None
    abi: str | None
    cores: tuple[Core, ...]  # those that are on, by number
    battery_percent: float | None
    battery_c: float | None
    plugged: bool | None  # powered by a cable or a pad
    charging: bool | None
    thermal_status: int | None  # 0 none, 1 light, 2 moderate, 3 severe ... (android.os.PowerManager)
    low_power: bool | None
    siop_level: int | None  # Samsung's throttling, 0 none
    free_mb: float | None


def read_state(phone: Phone, folder: str = FOLDER) -> State:
    """Ask the phone for everything in one command; `free_mb` is that of `folder`. Raises LinkLost."""
    command = "; ".join(f"echo '== {number}'; {question}" for number, question in enumerate(QUESTIONS))
    parts = re.split(r"^== (\d+)\n", phone.shell(f"exec 2> /dev/null; {command}", check=False).stdout, flags=re.M)
    told = {QUESTIONS[int(number)]: text.strip() for number, text in zip(parts[1::2], parts[2::2], strict=True)}
    places = {field: re.search(where, told.get(ask, ""), flags=re.M) for field, (ask, where, _) in FACTS.items()}
    facts = {field: place and FACTS[field][2](place) for field, place in places.items()}
    try:
        free_mb = phone.free_mb(folder)
    except PhoneError as error:
        if isinstance(error, LinkLost):
            raise
        free_mb = None
    return State(**facts, cores=_cores(told.get(ASK_CPUS, "")), free_mb=free_mb)


def gate(
    phone: Phone, limit_c: float = 35.0, wait_s: float = 600, say: Callable[[str], None] = print
) -> tuple[State, list[str]]:
    """Wait until the phone is cool: thermal status 0 and a battery of at most `limit_c` degrees Celsius.

    Returns its state then, and flags for a result: that it was still warm after `wait_s` seconds, or that it
    tells no temperature at all.
    """
    waited = 0.0
    while True:
        state = read_state(phone)
        if state.battery_c is None and state.thermal_status is None:
            return state, ["temperature unknown"]
        warm = (state.thermal_status or 0) > 0 or (state.battery_c or 0.0) > limit_c
        if not warm:
            return state, []
        if waited >= wait_s:
            return state, [f"warm at the start: {_warmth(state)} after {waited:.0f} s of waiting"]
        say(
            f"waiting for {phone.serial} to cool to {limit_c:g} °C: {_warmth(state)}; "
            f"{waited:.0f} of {wait_s:.0f} s"
        )
        pause = min(STEP_S, wait_s - waited)
        time.sleep(pause)
        waited += pause


def flags(before: State, after: State) -> list[str]:
    """What makes numbers measured between two states doubtful; [] for nothing."""
    found = []
    for name, key in (("thermal status", "thermal_status"), ("sys.siop.level", "siop_level")):
        was, now = getattr(before, key), getattr(after, key)
        found += [f"{name} {was} -> {now}"] if was != now or now else []
    for text, numbers in _limits(before, after).items():
        found.append(f"core{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: {text}")
    found += ["charging"] if before.charging or after.charging else []
    found += ["low-power mode"] if before.low_power or after.low_power else []
    return found


def big_cores(state: State, count: int) -> str | None:
    """Hexadecimal mask for `taskset` of the `count` fastest cores; of equal ones those with higher numbers.

    None when the phone does not tell the frequencies of so many.
    """
    if not 0 < count <= len(state.cores):
        return None
    fastest = sorted(state.cores, key=lambda core: (core.max_mhz, core.number))[-count:]
    return f"{sum(1 << core.number for core in fastest):x}"


def _limits(before: State, after: State) -> dict[str, list[int]]:
    """Cores by what is wrong with their frequency."""
    was, now = ({core.number: core for core in state.cores} for state in (before, after))
    found: dict[str, list[int]] = {}
    for number in sorted(was | now):
        core, old, new = (was | now)[number], was.get(number), now.get(number)
        if old is None or new is None:
            text = "turned on" if old is None else "turned off"
        elif old.limit_mhz != new.limit_mhz:
            text = f"frequency limit {_mhz(old.limit_mhz)} -> {_mhz(new.limit_mhz)}"
        elif new.limit_mhz is not None and new.limit_mhz < core.max_mhz:
            text = f"limited to {_mhz(new.limit_mhz)} of {_mhz(core.max_mhz)}"
        else:
            continue
        found.setdefault(text, []).append(number)
    return found


def _cores(told: str) -> tuple[Core, ...]:
    """From lines such as /sys/devices/system/cpu/cpu7/cpufreq/cpuinfo_max_freq 2995200."""
    facts = {(int(n), file): fact for n, file, fact in re.findall(r"/cpu(\d+)/cpufreq/(\w+) (\S+)", told)}

    def mhz(number: int, file: str) -> float | None:
        khz = facts.get((number, file), "")
        return int(khz) / 1000 if khz.isdigit() else None

    highest, limit, now, governor = CPU_FILES
    return tuple(
        Core(number, most, mhz(number, limit), mhz(number, now), facts.get((number, governor)))
        for number in sorted({number for number, _ in facts})
        if (most := mhz(number, highest)) is not None
    )


def _mhz(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} MHz"


def _warmth(state: State) -> str:
    return f"battery {state.battery_c} °C, thermal status {state.thermal_status}"
