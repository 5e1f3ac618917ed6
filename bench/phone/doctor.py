"""Is everything there that measuring on a phone needs? One line for each requirement."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from bench.phone import litert
from bench.phone.adb import PhoneError, adb_version, connect, devices, find_adb
from bench.phone.bundle import INSTALL, MACHINES, find_compiler
from bench.phone.runtime import PhoneSettings
from bench.phone.runtimes import find_runtime
from bench.phone.state import State, read_state
from bench.system.errors import ConfigError

OK, OPTIONAL, WARNING, MISSING = "ok", "optional", "warning", "missing"
NEED_MB = 300  # runner, programs, inputs and outputs
LOW_PERCENT, WARM_C = 30, 35.0
USUAL_ABI = "arm64-v8a"  # where no phone tells its own
FIXED_CLOCKS = ("performance", "userspace")  # governors


@dataclass(frozen=True)
class Check:
    """A requirement and how it is met; where it is not, `text` says what to do."""

    name: str
    status: str  # ok | optional | warning | missing
    text: str


def examine(settings: PhoneSettings) -> list[Check]:
    """Look at the attached phone and at this computer. Raises ConfigError for an unknown runtime alone."""
    find_runtime(settings.runtime)
    link, state = _link(settings)
    facts = _phone(state, settings) if state else []
    abi = state.abi if state and state.abi in MACHINES else USUAL_ABI
    return [*link, *facts, *COMPUTER[settings.runtime](abi, settings)]


def passed(checks: list[Check]) -> bool:
    return all(check.status != MISSING for check in checks)


def table(checks: list[Check]) -> str:
    """One line for each check, with the advice of those that need some."""
    return "\n".join(f"{check.status:8} {check.name:12} {check.text}" for check in checks)


def _link(settings: PhoneSettings) -> tuple[list[Check], State | None]:
    """From this computer to the phone, as far as it works, and what the phone says there."""
    checks, name = [], "adb"  # that comes next
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


def _phone(state: State, settings: PhoneSettings) -> list[Check]:
    abi = _abi(state) if settings.runtime == "executorch" else Check("ABI", OK, str(state.abi))
    return [abi, _space(state, settings.folder), _battery(state), _temperature(state), _clocks(state)]


def _abi(state: State) -> Check:
    if state.abi in MACHINES:
        return Check("ABI", OK, state.abi)
    return Check("ABI", MISSING, f"{state.abi or 'unknown'}: the runner needs a phone of {' or '.join(MACHINES)}")


def _space(state: State, folder: str) -> Check:
    if state.free_mb is None:
        return Check("free space", WARNING, f"unknown in {folder}; {NEED_MB} MB are enough")
    text = f"{state.free_mb:.0f} MB in {folder}"
    if state.free_mb < NEED_MB:
        advice = f"free {NEED_MB} MB, or give another folder with phone.folder=..."
        return Check("free space", MISSING, f"{text}: {advice}")
    return Check("free space", OK, text)


def _battery(state: State) -> Check:
    if state.battery_percent is None:
        return Check("battery", WARNING, "unknown")
    text = f"{state.battery_percent:.0f} %"
    if state.low_power:
        return Check("battery", WARNING, f"{text}, low-power mode: turn it off, it lowers the clocks")
    if state.battery_percent < LOW_PERCENT:
        return Check("battery", WARNING, f"{text}: charge it, phones slow down when it is low")
    if state.charging:
        return Check("battery", WARNING, f"{text}, charging, which warms the phone: let it fill first")
    return Check("battery", OK, text)


def _temperature(state: State) -> Check:
    if state.battery_c is None and state.thermal_status is None:
        return Check("temperature", WARNING, "unknown: let the phone rest before measuring")
    text = f"battery {state.battery_c} °C, thermal status {state.thermal_status}"
    if (state.battery_c or 0.0) > WARM_C or state.thermal_status:
        return Check("temperature", WARNING, f"{text}: measuring will wait for {WARM_C:g} °C and status 0")
    return Check("temperature", OK, text)


def _clocks(state: State) -> Check:
    governors = sorted({core.governor for core in state.cores if core.governor})
    if not governors:
        return Check("governor", WARNING, "unknown, as are the cores' frequencies: no thread can be placed")
    fixed = "fixed clocks" if set(governors) <= set(FIXED_CLOCKS) else "free clocks"
    speeds = ", ".join(f"{mhz:.0f}" for mhz in sorted({core.max_mhz for core in state.cores}))
    text = f"{', '.join(governors)} ({fixed}); {len(state.cores)} cores of up to {speeds} MHz"
    return Check("governor", OK, text)


def _for_executorch(abi: str, settings: PhoneSettings) -> list[Check]:
    """What this computer needs to make programs for phones of that ABI."""
    try:
        compiler = Check("compiler", OK, f"{find_compiler(MACHINES[abi])}, for {abi}")
    except ConfigError as error:
        compiler = Check("compiler", MISSING, str(error))
    return [
        compiler,
        _package("executorch", MISSING, f"not installed: {INSTALL}"),
        _package("litert-torch", OPTIONAL, "not installed; only for phone.runtime=litert"),
    ]


def _for_litert(abi: str, settings: PhoneSettings) -> list[Check]:
    try:
        program = Check("benchmark", OK, str(litert.benchmark_model(settings)))
    except ConfigError as error:
        program = Check("benchmark", MISSING, str(error))
    return [program, _package("litert-torch", MISSING, f"not installed: {litert.INSTALL}")]


COMPUTER = {"executorch": _for_executorch, "litert": _for_litert}


def _package(name: str, without: str, text: str) -> Check:
    """Its version; `without` and `text` are for when it is not installed."""
    try:
        return Check(name, OK, version(name))
    except PackageNotFoundError:
        return Check(name, without, text)
