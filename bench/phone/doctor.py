"""Is everything there that measuring on a phone needs? One line for each requirement."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple, TypeVar

from bench.phone import litert
from bench.phone.adb import PhoneError, adb_version, connect, devices, find_adb
from bench.phone.bundle import INSTALL, MACHINES, find_compiler
from bench.phone.cargo import find_runtime
from bench.phone.runtime import PhoneSettings
from bench.phone.state import State, read_state
from bench.system.errors import ConfigError

OK, OPTIONAL, WARNING, MISSING = "ok", "optional", "warning", "missing"
NEED_MB = 300  # runner, programs, inputs and outputs
LOW_PERCENT, WARM_C = 30, 35.0
USUAL_ABI = "arm64-v8a"  # where no phone tells its own
FIXED_CLOCKS = ("performance", "userspace")  # governors

About = TypeVar("About")
Found = tuple[str, str]  # the status of a requirement, and what is there or what to do
Look = Callable[[About, PhoneSettings], Found]


class Check(NamedTuple):
    """A requirement and how it is met; where it is not, `text` says what to do."""

    name: str
    status: str  # ok | optional | warning | missing
    text: str


def examine(settings: PhoneSettings) -> list[Check]:
    """Look at the attached phone and at this computer. Raises ConfigError for an unknown runtime alone."""
    find_runtime(settings.runtime)
    checks, state = _link(settings)
    if state:
        checks += [Check(name, *look(state, settings)) for name, look in PHONE.items()]
    abi = state.abi if state and state.abi in MACHINES else USUAL_ABI
    return checks + [Check(name, *look(abi, settings)) for name, look in COMPUTER[settings.runtime].items()]


def _link(settings: PhoneSettings) -> tuple[list[Check], State | None]:
    """From this computer to the phone, as far as it works, and what the phone says there."""
    checks: list[Check] = []
    name = "adb"  # that comes next
    try:
        adb = find_adb(settings.adb)
        checks.append(Check(name, OK, f"{adb_version(adb)}, {adb}"))
        name = "adb server"
        devices(adb)
        checks.append(Check(name, OK, "answers"))
        name = "phone"
        phone = connect(settings.serial, adb)
        state = read_state(phone, settings.folder)
        text = f"{phone.serial}: {state.model or 'a phone'}, Android {state.android_version or 'unknown'}"
        return [*checks, Check(name, OK, text)], state
    except PhoneError as error:
        return [*checks, Check(name, MISSING, str(error))], None


def _abi(state: State, settings: PhoneSettings) -> Found:
    if settings.runtime != "executorch" or state.abi in MACHINES:
        return OK, str(state.abi)
    return MISSING, f"{state.abi or 'unknown'}: the runner needs a phone of {' or '.join(MACHINES)}"


def _space(state: State, settings: PhoneSettings) -> Found:
    if state.free_mb is None:
        return WARNING, f"unknown in {settings.folder}; {NEED_MB} MB are enough"
    text = f"{state.free_mb:.0f} MB in {settings.folder}"
    if state.free_mb < NEED_MB:
        return MISSING, f"{text}: free {NEED_MB} MB, or give another folder with phone.folder=..."
    return OK, text


def _battery(state: State, settings: PhoneSettings) -> Found:
    if state.battery_percent is None:
        return WARNING, "unknown"
    text = f"{state.battery_percent:.0f} %"
    if state.low_power:
        return WARNING, f"{text}, low-power mode: turn it off, it lowers the clocks"
    if state.battery_percent < LOW_PERCENT:
        return WARNING, f"{text}: charge it, phones slow down when it is low"
    if state.charging:
        return WARNING, f"{text}, charging, which warms the phone: let it fill first"
    return OK, text


def _temperature(state: State, settings: PhoneSettings) -> Found:
    if state.battery_c is None and state.thermal_status is None:
        return WARNING, "unknown: let the phone rest before measuring"
    text = f"battery {state.battery_c} °C, thermal status {state.thermal_status}"
    if (state.battery_c or 0.0) > WARM_C or state.thermal_status:
        return WARNING, f"{text}: measuring will wait for {WARM_C:g} °C and status 0"
    return OK, text


def _clocks(state: State, settings: PhoneSettings) -> Found:
    governors = sorted({core.governor for core in state.cores if core.governor})
    if not governors:
        return WARNING, "unknown, as are the cores' frequencies: no thread can be placed"
    fixed = "fixed clocks" if set(governors) <= set(FIXED_CLOCKS) else "free clocks"
    speeds = ", ".join(f"{mhz:.0f}" for mhz in sorted({core.max_mhz for core in state.cores}))
    return OK, f"{', '.join(governors)} ({fixed}); {len(state.cores)} cores of up to {speeds} MHz"


def _asked(ask: Callable[[str, PhoneSettings], object], otherwise: str = MISSING, advice: str = "") -> Look[str]:
    """A check whose question is answered by what is there, or else fails: `otherwise` and `advice` tell of that."""

    def look(abi: str, settings: PhoneSettings) -> Found:
        try:
            return OK, str(ask(abi, settings))
        except (ConfigError, PackageNotFoundError) as error:
            return otherwise, advice or str(error)

    return look


PHONE: dict[str, Look[State]] = {
    "ABI": _abi, "free space": _space, "battery": _battery, "temperature": _temperature, "governor": _clocks,
}  # fmt: skip
COMPUTER: dict[str, dict[str, Look[str]]] = {  # by the runtime: what makes programs for phones of an ABI
    "executorch": {
        "compiler": _asked(lambda abi, _: f"{find_compiler(MACHINES[abi])}, for {abi}"),
        "executorch": _asked(lambda *_: version("executorch"), MISSING, f"not installed: {INSTALL}"),
        "litert-torch": _asked(
            lambda *_: version("litert-torch"), OPTIONAL, "not installed; only for phone.runtime=litert"
        ),
    },
    "litert": {
        "benchmark": _asked(lambda _, settings: litert.benchmark_model(settings)),
        "litert-torch": _asked(lambda *_: version("litert-torch"), MISSING, f"not installed: {litert.INSTALL}"),
    },
}
