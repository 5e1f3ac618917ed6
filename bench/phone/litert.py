"""LiteRT with XNNPACK, run on the phone by `benchmark_model`, a program of Google's that the user gives.

It feeds noise, keeps its outputs and prints statistics alone. So outputs are compared on this computer, with
LiteRT's interpreter, and the times of single runs are not known.
"""

import os
import re
import shlex
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.export.formats import quiet
from bench.phone.adb import Answer, Phone
from bench.phone.runtime import Bundle, Cargo, Finding, PhoneSettings, Runtime, Task, exporting
from bench.system.errors import ConfigError
from bench.system.files import replace_atomically, sha256
from methods.steps import Step

INSTALL = ".venv/bin/python -m pip install -e '.[litert]'"  # its own pins contradict those of constraints.txt
MODULES = ("litert_torch", "ai_edge_litert")
LIBRARIES = ("torch", "litert-torch", "ai-edge-litert")


def check(settings: PhoneSettings) -> None:
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        raise ConfigError(f"phone.runtime=litert needs {', '.join(missing)}; install with {INSTALL}")
    benchmark_model(settings)


def benchmark_model(settings: PhoneSettings) -> Path:
    """The program that the user gave; ConfigError without one."""
    if settings.benchmark_model is None:
        raise ConfigError(
            "phone.runtime=litert needs phone.benchmark_model=/path/to/benchmark_model, a program of Google's "
            "for the phone's ABI: docs/phone.md says where it is"
        )
    path = Path(settings.benchmark_model).expanduser().absolute()
    if not path.is_file():
        raise ConfigError(f"phone.benchmark_model={path}: there is no such file")
    return path


def _bundle(abi: str, cache: Path, settings: PhoneSettings) -> Bundle:
    path = benchmark_model(settings)
    key = sha256(path)
    made_by = ", ".join(f"{name} {version(name)}" for name in LIBRARIES[1:])
    return Bundle(
        files=(path,),
        command=shlex.quote(f"./{path.name}"),
        key=key[:16],
        name=f"LiteRT, XNNPACK; benchmark_model of sha256 {key}; programs by {made_by}",
        libc="the phone's own libc",
        probe="--help",
        answer="--graph",
        hint=f"phone.benchmark_model must be made for Android on {abi}",
    )


@torch.no_grad()
def pack(steps: list[Step], key: str, folder: Path) -> Cargo:
    """A program for each step."""
    files = {step.name: folder / f"{step.name}.tflite" for step in steps}
    with exporting("LiteRT"):
        for step in steps:
            if not files[step.name].exists():
                replace_atomically(files[step.name], partial(_convert, step))
        computed = {step.name: _compute(files[step.name], step) for step in steps}
    return Cargo(key, steps, tuple(files.values()), computed)


class _Plain(TorchFunctionMode):
    """What litert-torch 0.10 gets wrong, in other words: a batch dimension that is expanded loses the change of
    its layout (its own interpreter refuses the program), a split into one part is no part at all."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if function is Tensor.expand and args[0].shape[1:] == found.shape[1:]:
            return torch.cat([args[0]] * len(found))
        if function is Tensor.split and len(found) == 1:
            return (args[0],)
        return found


class _Convertible(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor):
        with _Plain():
            return self.module(*inputs)


def _convert(step: Step, path: Path) -> None:
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")  # read when it is imported
    with quiet():
        import litert_torch

        network = _Convertible(step.module).eval()
        litert_torch.convert(network, tuple(step.inputs.values())).export(str(path))


def _compute(path: Path, step: Step) -> tuple[Tensor, ...]:
    """The step's outputs by LiteRT's interpreter, on this computer."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=torch.get_num_threads())
    inputs = {f"args_{number}": tensor.numpy() for number, tensor in enumerate(step.inputs.values())}
    found = interpreter.get_signature_runner()(**inputs)
    return tuple(torch.from_numpy(found[f"output_{number}"]) for number in range(len(step.outputs)))


def _arguments(task: Task, remote: str) -> str:
    graph = shlex.quote(f"--graph={remote}/{task.stage.name}.tflite")
    return (
        f"{graph} --num_threads={task.threads} --warmup_runs={task.warmups} --warmup_min_secs=0 "
        f"--num_runs={task.runs} --min_secs={task.seconds:g} --max_secs={task.max_seconds:g} --use_xnnpack=true"
    )


def read_statistics(said: str) -> dict[str, float] | None:
    """From the last line of statistics, which is that of the runs that count; None without any run.

    E.g. count=50 first=310 curr=301 min=299 max=350 avg=303.2 std=7 p5=299 median=302 p95=318, in microseconds.
    """
    lines = re.findall(r"\bcount=.*\bmedian=.*", said)
    found = dict(re.findall(r"\b(\w+)=([\d.e+]+)", lines[-1])) if lines else {}
    if not {"median", "p95"} <= found.keys() or not int(found["count"]):
        return None
    found.setdefault("min", found["median"])  # not told when all runs took the same time
    return {"runs": int(found["count"])} | {key: float(found[key]) / 1e3 for key in ("median", "p95", "min")}


def _read(phone: Phone, answer: Answer, task: Task, cargo: Cargo, remote: str, local: Path) -> Finding | None:
    if (statistics := read_statistics(answer.said)) is None:
        return None
    init = re.search(r"Init: (\d+)", answer.said)
    load_ms = int(init[1]) / 1e3 if init else None
    return Finding(None, cargo.computed[task.stage.name], load_ms, statistics=statistics)


LITERT = Runtime(check, _bundle, pack, _arguments, _read, LIBRARIES)
