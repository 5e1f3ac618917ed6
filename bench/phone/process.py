"""One process of a runtime on the phone: start it, fetch what it wrote, explain how it ended."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from bench.phone.adb import EXITS, Phone, PhoneError
from bench.phone.runtime import Bundle, Cargo, Finding, ProcessFailed, Runtime, Task
from bench.system.files import write_text

GRACE_S = 60.0  # for loading, warming up and writing, on top of the runs
LAST_LINES = 20  # that a failure keeps
OURS = ("et_runner: ", "ERROR: ")  # how a runtime begins the line that names the reason


@dataclass(frozen=True)
class Runner:
    """A runtime, installed in a folder of the phone."""

    phone: Phone
    runtime: Runtime
    bundle: Bundle
    folder: str


def install(phone: Phone, runtime: Runtime, bundle: Bundle, folder: str) -> Runner:
    """Copy the bundle into a folder below `folder` of the phone, where it stays, unless it is there already.

    Raises PhoneError when it does not start there.
    """
    runner = Runner(phone, runtime, bundle, f"{folder}/runner-{bundle.key}")
    ask = _inside(runner, bundle.probe)
    if bundle.answer in phone.shell(ask, check=False).said:
        return runner
    phone.push(bundle.files, runner.folder)
    phone.shell(f"chmod 755 {shlex.quote(runner.folder)}/*", check=False)  # a download is no program yet
    answer = phone.shell(ask, check=False)
    if bundle.answer not in answer.said:
        said = answer.said.strip().splitlines()[-1:] or ["it says nothing"]
        raise PhoneError(
            f"this phone cannot start the runner: {EXITS[answer.code]} (exit code {answer.code}: {said[0]})"
            f"; {bundle.hint}: give phone.folder=... on a partition that lets programs run, or take another phone"
        )
    return runner


def run(runner: Runner, task: Task, cargo: Cargo, remote: str, local: Path, log: Path) -> Finding:
    """Run a task with the cargo in the folder `remote` of the phone; what it wrote is fetched into `local`.

    Raises ProcessFailed, with what the process and the phone said in the file `log`, and LinkLost.
    """
    limit = 2 * task.max_seconds + GRACE_S
    before = f"timeout -k 5 {limit:.0f} " + (f"taskset {task.mask} " if task.mask else "")
    command = _inside(runner, runner.runtime.arguments(task, remote), before)
    answer = runner.phone.shell(command, timeout=limit + 60, check=False)
    if answer.code == 0:
        found = runner.runtime.read(runner.phone, answer, task, cargo, remote, local)
        if found is not None:
            return found
    said = answer.said.strip().splitlines()[-LAST_LINES:]
    system = runner.phone.shell("logcat -d -t 60", check=False).stdout
    write_text(log, "\n".join([*said, "", "logcat:", system]))
    ours = next((f": {line}" for line in reversed(said) if line.startswith(OURS)), "")
    raise ProcessFailed(f"{EXITS[answer.code]} (exit code {answer.code}{ours}); see {log}")


def _inside(runner: Runner, arguments: str, before: str = "") -> str:
    return f"cd {shlex.quote(runner.folder)} && {before}{runner.bundle.command} {arguments}"
