"""What a phone is and how warm, full and free it is before and after a measurement."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.phone.adb import LinkLost, Phone, PhoneError

FOLDER = "/data/local/tmp"
STEP_S = 10.0  # between two looks at a phone that has to cool
CHARGING = 2  # android.os.BatteryManager.BATTERY_STATUS_CHARGING
CPUFREQ = "/sys/devices/system/cpu/cpu[0-9]*/cpufreq"
CPU_FILES = ("cpuinfo_max_freq", "scaling_max_freq", "scaling_cur_freq", "scaling_governor")  # as Core's fields
QUESTIONS = {
    "model": "getprop ro.product.model",
    "version": "getprop ro.build.version.release",
    "abi": "getprop ro.product.cpu.abi",
    "siop": "getprop sys.siop.level",
    "battery": "dumpsys battery",
    "thermal": "dumpsys thermalservice",
    "low_power": "settings get global low_power",
    **{file: f'for f in {CPUFREQ}/{file}; do echo "$f $(cat "$f")"; done' for file in CPU_FILES},
}


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
    command = "; ".join(f"echo '== {name}'; {question}" for name, question in QUESTIONS.items())
    parts = re.split(r"^== (\w+)\n", phone.shell(f"exec 2> /dev/null; {command}", check=False).stdout, flags=re.M)
    said = {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    battery = dict(re.findall(r"^\s*([\w ]+): (\S+)", said.get("battery", ""), flags=re.M))
    powered = [value for key, value in battery.items() if key.endswith("powered")]
    level, scale, tenths = (_int(battery.get(key)) for key in ("level", "scale", "temperature"))
    status, low_power = _int(battery.get("status")), _int(said.get("low_power"))
    thermal = re.search(r"Thermal Status: (\d+)", said.get("thermal", ""))
    try:
        free_mb = phone.free_mb(folder)
    except LinkLost:
        raise
    except PhoneError:
        free_mb = None
    return State(
        model=said.get("model") or None,
        android_version=said.get("version") or None,
        abi=said.get("abi") or None,
        cores=_cores(said),
        battery_percent=None if level is None else 100 * level / (scale or 100),
        battery_c=None if tenths is None else tenths / 10,
        plugged="true" in powered if powered else None,
        charging=None if status is None else status == CHARGING,
        thermal_status=int(thermal[1]) if thermal else None,
        low_power=None if low_power is None else low_power == 1,
        siop_level=_int(said.get("siop")),
        free_mb=free_mb,
    )


def gate(
    phone: Phone,
    limit_c: float = 35.0,
    wait_s: float = 600,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = print,
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
        sleep(pause)
        waited += pause


def flags(before: State, after: State) -> list[str]:
    """What makes numbers measured between two states doubtful; [] for nothing."""
    found = []
    for name, key in (("thermal status", "thermal_status"), ("sys.siop.level", "siop_level")):
        was, now = getattr(before, key), getattr(after, key)
        found += [f"{name} {was} -> {now}"] if was != now or now else []
    found += [f"{_named(numbers)}: {text}" for text, numbers in _limits(before, after).items()]
    if before.charging or after.charging:
        found.append("charging")
    if before.low_power or after.low_power:
        found.append("low-power mode")
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


def _named(numbers: list[int]) -> str:
    return f"core{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _cores(said: dict[str, str]) -> tuple[Core, ...]:
    """From lines such as /sys/devices/system/cpu/cpu7/cpufreq/cpuinfo_max_freq 2995200."""
    told = {file: dict(re.findall(rf"/cpu(\d+)/cpufreq/{file} (\S+)", said.get(file, ""))) for file in CPU_FILES}

    def mhz(file: str, number: str) -> float | None:
        khz = _int(told[file].get(number))
        return None if khz is None else khz / 1000

    *speeds, governor = CPU_FILES
    cores = [
        Core(int(n), *(mhz(file, n) for file in speeds), told[governor].get(n))
        for n in sorted(told[speeds[0]], key=int)
    ]
    return tuple(core for core in cores if core.max_mhz is not None)


def _int(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def _mhz(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} MHz"


def _warmth(state: State) -> str:
    return f"battery {state.battery_c} °C, thermal status {state.thermal_status}"
