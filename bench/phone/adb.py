"""One attached Android phone through the adb program: commands, files, and what every failure means."""

import math
import os
import re
import shlex
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench.system.errors import ConfigError

MARK = "__rc="  # the last line of every command's output; without shell v2 the exit code reaches us in no other way
NETWORK = re.compile(r"[^:\s]+:\d+$")  # host:port
LINK_LOST = re.compile(
    r"error: closed|device '.*' not found|device offline|no devices/emulators found|device (still|unauthorized)"
    r"|connection reset|couldn't read from device|protocol fault|connect failed|failed to read copy response"
)
REFUSALS = re.compile("No space left on device|Read-only file system|Permission denied")
SERVER_NEWS = re.compile(r"\* daemon |adb server version ")  # printed by whichever command starts the server
EXITS = defaultdict(lambda: "it failed") | {  # what an exit code of a program on the phone means
    124: "it ran past its time limit",
    126: "this phone cannot start the program: made for another ABI, or in a folder that forbids it",
    127: "this phone cannot start the program: it, its loader or a library is missing",
    134: "it aborted (SIGABRT)",
    135: "bus error (SIGBUS)",
    137: "killed (SIGKILL), most likely for want of memory",
    139: "segmentation fault (SIGSEGV)",
}
STATES = {
    "unauthorized": "has not accepted this computer: unlock it and accept the prompt 'Allow USB debugging?'; "
    "if none appears, revoke USB debugging authorizations in its developer options and replug it",
    "offline": "is offline: replug it, or run `adb reconnect` (over the network: `adb disconnect`, then again)",
    "no permissions": "may not be opened by this user: install udev rules (Debian: "
    "android-sdk-platform-tools-common), then replug it",
}
ENABLE = "enable USB debugging in its developer options, plug it in, and check that `adb devices` lists it"


class PhoneError(ConfigError):
    """Something is wrong with the phone, its link or adb; the message says what to do."""


class LinkLost(PhoneError):
    """The phone was there and does not answer any more: unplugged, rebooted, or adb hangs."""


@dataclass(frozen=True)
class Answer:
    """What a command on the phone printed, and its exit code. Without shell v2 `stdout` holds both outputs."""

    stdout: str
    stderr: str
    code: int

    @property
    def said(self) -> str:
        return self.stdout + self.stderr


def find_adb(path: str | None = None) -> str:
    """The adb program: the given one, the PATH's, or that of the `adbutils` wheel. PhoneError without one."""
    found = shutil.which(Path("adb") if path is None else Path(path).expanduser())
    if found is None and path is not None:
        raise PhoneError(f"phone.adb={path}: there is no such program")
    if found is None and (wheel := find_spec("adbutils")) and wheel.origin:
        found = shutil.which(Path(wheel.origin).parent / "binaries" / "adb")
    if found is None:
        raise PhoneError(
            "adb not found: install it (apt install adb), or `pip install adbutils`, or give phone.adb=/path/to/adb"
        )
    return str(found)


def connect(serial: str | None = None, adb: str | None = None) -> "Phone":
    """The only attached phone, or the one of that serial or host:port; PhoneError when it cannot be used.

    As with adb itself, $ANDROID_SERIAL names one when `serial` does not.
    """
    program = find_adb(adb)
    serial = serial or os.environ.get("ANDROID_SERIAL") or None
    found, reply = devices(program), ""
    if serial and NETWORK.match(serial) and found.get(serial, "offline") == "offline":
        if serial in found:  # a link that was lost; adb holds on to it until it is told
            _server(program, ["disconnect", serial])
        reply = _server(program, ["connect", serial]).stdout.strip()  # its exit code may be 0 when it failed
        found = devices(program)
    deadline = time.monotonic() + 5
    while {"connecting", "authorizing"} & set(found.values()) and time.monotonic() < deadline:
        time.sleep(0.2)
        found = devices(program)
    if serial is None:
        listed = ", ".join(f"{name} ({state})" for name, state in found.items())
        if len(found) > 1:
            raise PhoneError(f"several phones are attached: {listed}; pick one with phone.serial=...")
        if not found:
            raise PhoneError(f"no phone is attached: {ENABLE}")
        (serial,) = found
    elif serial not in found:
        known = f"; attached: {', '.join(found)}" if found else ""
        raise PhoneError(f"phone.serial={serial}: no such phone is attached ({reply or ENABLE}){known}")
    if (state := found[serial]) != "device":
        what = STATES.get(state, f"is in the state '{state}', not started as usual: restart it")
        raise PhoneError(f"the phone {serial} {what}")
    return Phone(serial, program)


def devices(adb: str) -> dict[str, str]:
    """State by serial of every phone that adb knows; starts its server if there is none."""
    done = _server(adb, ["devices"])
    if done.returncode:
        raise PhoneError(f"`{adb} devices` failed: {_last_lines(done.stderr, 3)}")
    rows = (line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    return {name.strip(): re.sub(r"^(no permissions).*", r"\1", state.strip()) for name, state in rows}


def adb_version(adb: str) -> str:
    """Of the program, e.g. 29.0.6-debian."""
    said = re.search(r"^Version (\S+)", _server(adb, ["version"]).stdout, flags=re.M)
    return said[1] if said else "unknown version"


class Phone:
    """An attached phone. Every method raises PhoneError, and LinkLost when the phone stops answering."""

    def __init__(self, serial: str, adb: str) -> None:
        self.serial, self.adb = serial, adb

    def shell(self, command: str, timeout: float = 60, check: bool = True) -> Answer:
        """Run a command in the phone's shell; with `check`, an exit code other than 0 is a PhoneError."""
        script = f"( {command}\n); echo {MARK}$?"
        done = self._run(["shell", script], timeout, command)
        out = done.stdout.replace("\r\n", "\n")
        if found := re.match(rf"(.*){MARK}(\d+)\n", out, flags=re.S):
            out, code = found[1], int(found[2])
        elif 128 < done.returncode <= 192:  # a signal killed the shell itself
            code = done.returncode
        else:  # adb ends with 1, or with 255 since version 36
            raise self._lost(command, done.stderr)
        answer = Answer(out, done.stderr, code)
        if check and code:
            lines = _last_lines(answer.said, 20)
            raise PhoneError(f"`{command}` on {self.serial}: {EXITS[code]} (exit code {code})\n{lines}".rstrip())
        return answer

    def push(self, files: Sequence[Path], folder: str) -> None:
        """Copy files into a folder of the phone, which is made; checks first that they fit."""
        made = self.shell(f"mkdir -p {shlex.quote(folder)}", check=False)
        if made.code:
            raise self._refused(folder, made.stderr or made.stdout)
        need = sum(Path(file).stat().st_size for file in files) / 1e6
        have = self.free_mb(folder)
        if need > have:
            raise PhoneError(
                f"{folder} on {self.serial}: need {math.ceil(need)} MB, have {math.floor(have)} MB; "
                "free some, or give another folder with phone.folder=..."
            )
        done = self._run(["push", *map(str, files), f"{folder}/"], 60 + need, "push")
        if done.returncode:
            raise self._refused(folder, done.stderr + done.stdout)

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file of the phone to `local`, or a folder to one that is not there yet."""
        local.parent.mkdir(parents=True, exist_ok=True)
        done = self._run(["pull", remote, str(local)], 300, f"pull {remote}")
        if done.returncode:
            text = done.stderr + done.stdout
            if self._gone(text):
                raise self._lost(f"pull {remote}", text)
            raise PhoneError(f"cannot copy {remote} from {self.serial}: {_last_lines(text, 1)}")

    def prop(self, name: str) -> str:
        """A system property; '' when the phone has none of that name."""
        return self.shell(f"getprop {shlex.quote(name)}").stdout.strip()

    def free_mb(self, folder: str) -> float:
        """Free space (10^6 bytes) where `folder` is, or will be."""
        there = f'd={shlex.quote(folder)}; while [ -n "$d" ] && [ ! -e "$d" ]; do d="${{d%/*}}"; done'
        out = self.shell(f'{there}; df -k "${{d:-/}}"').stdout
        found = re.search(r"(\d+)\s+\d+%\s+\S+\s*$", out)
        if found is None:
            raise PhoneError(f"cannot read the free space of {folder} on {self.serial} from `df -k`: {out.strip()}")
        return int(found[1]) * 1024 / 1e6

    def _run(self, arguments: list[str], timeout: float, what: str) -> subprocess.CompletedProcess:
        try:
            return _adb(self.adb, ["-s", self.serial, *arguments], timeout)
        except subprocess.TimeoutExpired:
            raise self._lost(what, f"no answer within {timeout:g} s") from None

    def _gone(self, text: str) -> bool:
        """Whether a copy failed for want of a link: adb may just end, without a word."""
        return bool(LINK_LOST.search(text)) or devices(self.adb).get(self.serial) != "device"

    def _lost(self, what: str, text: str) -> LinkLost:
        reason = _last_lines(text, 1) or "adb ended without an answer"
        return LinkLost(
            f"the link to {self.serial} was lost during `{what}` ({reason}): check the cable and `adb devices`"
        )

    def _refused(self, folder: str, text: str) -> PhoneError:
        """Why nothing could be written into the folder."""
        if self._gone(text):
            return self._lost(f"push to {folder}", text)
        where, known = f"{folder} on {self.serial}", REFUSALS.search(text)
        what = f"{where}: {known[0].lower()}" if known else f"cannot write into {where}: {_last_lines(text, 1)}"
        return PhoneError(f"{what}; give another folder with phone.folder=...")


def _server(program: str, arguments: list[str]) -> subprocess.CompletedProcess:
    """Ask adb's server, which is started if there is none."""
    try:
        return _adb(program, arguments, 30)
    except subprocess.TimeoutExpired:
        what = " ".join(arguments)
        raise PhoneError(f"`adb {what}` does not answer: run `adb kill-server`, then try again") from None


def _adb(program: str, arguments: list[str], timeout: float) -> subprocess.CompletedProcess:
    try:
        done = subprocess.run(
            [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise PhoneError(f"cannot run {program}: {error.strerror}") from None
    done.stderr = "".join(line for line in done.stderr.splitlines(True) if not SERVER_NEWS.match(line))
    return done


def _last_lines(text: str, count: int) -> str:
    return "\n".join(text.strip().splitlines()[-count:])
