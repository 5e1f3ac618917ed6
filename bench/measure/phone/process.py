"""One process of the runner on the phone: start it, fetch what it wrote, explain how it ended."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.files import write_text
from bench.measure.phone.adb import Answer, Phone, PhoneError, explain_exit
from bench.measure.phone.bundle import Bundle
from bench.measure.phone.cargo import MODEL, Cargo

GRACE_S = 60.0  # for loading, warming up and writing, on top of the runs
LAST_LINES = 20  # that a failure keeps


class ProcessFailed(Exception):
    """A process on the phone failed; the phone did not."""


@dataclass(frozen=True)
class Runner:
    """Our runner, installed in a folder of the phone."""

    phone: Phone
    bundle: Bundle
    folder: str


@dataclass(frozen=True)
class Task:
    """What one process does: at least `runs` runs and `seconds` of them, none begun after `max_seconds`.

    mask: of the cores that it is held on, as `taskset` takes it; None leaves it free.
    """

    stage: str
    threads: int
    mask: str | None
    warmups: int
    runs: int
    seconds: float
    max_seconds: float


@dataclass(frozen=True)
class Finding:
    """times_ns int64 (runs,), the stage's outputs, and what the runner told of itself."""

    times_ns: np.ndarray
    outputs: tuple[Tensor, ...]
    load_ms: float
    peak_rss_mb: float


def install(phone: Phone, bundle: Bundle, folder: str) -> Runner:
    """Copy the runner into a folder below `folder` of the phone, where it stays, unless it is there already.

    Raises PhoneError when it does not start there.
    """
    runner = Runner(phone, bundle, f"{folder}/runner-{bundle.key}")
    ask = _inside(runner, "--version")
    if bundle.version in phone.shell(ask, check=False).stdout:
        return runner
    phone.push(bundle.files, runner.folder)
    answer = phone.shell(ask, check=False)
    if answer.code or bundle.version not in answer.stdout:
        said = _lines(answer)[-1:] or ["it says nothing"]
        raise PhoneError(
            f"this phone cannot start the runner: {explain_exit(answer.code)} (exit code {answer.code}: {said[0]})"
            f"; it brings {bundle.libc} along, which some phones forbid: give phone.folder=... on a partition "
            "that lets programs run, or take another phone"
        )
    return runner


def run(runner: Runner, task: Task, cargo: Cargo, remote: str, local: Path, log: Path) -> Finding:
    """Run a task with the cargo in the folder `remote` of the phone; what it wrote is fetched into `local`.

    Raises ProcessFailed, with what the process and the phone said in the file `log`, and LinkLost.
    """
    limit = 2 * task.max_seconds + GRACE_S
    answer = runner.phone.shell(_command(runner, task, cargo, remote, limit), timeout=limit + 60, check=False)
    told = [line for line in answer.stdout.splitlines() if line.startswith('{"runs"')]
    if answer.code or not told:
        raise ProcessFailed(_explain(runner.phone, answer, log))
    facts = json.loads(told[-1])
    runner.phone.pull(f"{remote}/times.bin", local / "times.bin")
    outputs = []
    for number, expected in enumerate(cargo.answers[task.stage]):
        file = local / f"{number}.bin"
        runner.phone.pull(f"{remote}/{task.stage}.out.{number}.bin", file)
        outputs.append(_read(file, expected))
    times = np.fromfile(local / "times.bin", np.int64)
    return Finding(times, tuple(outputs), facts["load_ms"], facts["peak_rss_kb"] / 1024)


def _command(runner: Runner, task: Task, cargo: Cargo, remote: str, limit: float) -> str:
    files = [
        f"{remote}/{MODEL}",
        task.stage,
        ",".join(f"{remote}/{name}" for name in cargo.inputs[task.stage]),
    ]
    files += [f"{remote}/{task.stage}.out.", f"{remote}/times.bin"]
    numbers = [task.threads, task.warmups, task.runs, f"{task.seconds:g}", f"{task.max_seconds:g}"]
    before = f"timeout -k 5 {limit:.0f} " + (f"taskset {task.mask} " if task.mask else "")
    return _inside(runner, f"{shlex.join(files)} {' '.join(map(str, numbers))}", before)


def _inside(runner: Runner, arguments: str, before: str = "") -> str:
    return f"cd {shlex.quote(runner.folder)} && {before}{runner.bundle.command} {arguments}"


def _read(path: Path, like: Tensor) -> Tensor:
    found = np.fromfile(path, like.numpy().dtype)
    if found.size != like.numel():
        raise ProcessFailed(f"an output holds {found.size} numbers, not {like.numel()}")
    return torch.from_numpy(found).reshape(like.shape)


def _explain(phone: Phone, answer: Answer, log: Path) -> str:
    """Why it failed, in one line; the rest goes into the log."""
    said = _lines(answer)[-LAST_LINES:]
    system = phone.shell("logcat -d -t 60", check=False).stdout
    write_text(log, "\n".join([*said, "", "logcat:", system]))
    ours = next((f": {line}" for line in reversed(said) if line.startswith("et_runner: ")), "")
    return f"{explain_exit(answer.code)} (exit code {answer.code}{ours}); see {log}"


def _lines(answer: Answer) -> list[str]:
    return (answer.stdout + answer.stderr).strip().splitlines()
