"""ExecuTorch with XNNPACK, run on the phone by our runner (`runner/et_runner.cpp`)."""

import json
import shlex
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.export.formats import find_format
from bench.export.steps import Program
from bench.phone.adb import Answer, Phone
from bench.phone.bundle import make_bundle
from bench.phone.runtime import Cargo, Finding, ProcessFailed, Runtime, Task, answers_of
from bench.system.errors import ConfigError
from bench.system.files import replace_atomically
from methods.steps import Step

MODEL = "model.pte"


@torch.no_grad()
def pack(steps: list[Step], key: str, folder: Path) -> Cargo:
    """One program for all steps, and the tensors that go in."""
    model, programs = folder / MODEL, [Program(s.name, s.inputs, s.outputs) for s in steps]
    if not model.exists():
        modules, write = nn.ModuleDict({s.name: s.module for s in steps}), find_format("executorch").write
        try:
            replace_atomically(model, lambda path: write(modules, programs, path.with_suffix("")))
        except Exception as error:  # exporters raise errors of many kinds
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ConfigError(f"ExecuTorch cannot take this network: {reason.strip()}") from error
    inputs, files = {}, [model]
    for step in steps:
        inputs[step.name] = tuple(f"{step.name}.{tensor}.bin" for tensor in step.inputs)
        for name, tensor in zip(inputs[step.name], step.inputs.values(), strict=True):
            tensor.contiguous().numpy().tofile(folder / name)
            files.append(folder / name)
    return Cargo(key, steps, tuple(files), inputs, answers_of(steps))


def _arguments(task: Task, cargo: Cargo, remote: str) -> str:
    inputs = ",".join(f"{remote}/{name}" for name in cargo.inputs[task.stage])
    files = [f"{remote}/{MODEL}", task.stage, inputs, f"{remote}/{task.stage}.out.", f"{remote}/times.bin"]
    numbers = [task.threads, task.warmups, task.runs, f"{task.seconds:g}", f"{task.max_seconds:g}"]
    return f"{shlex.join(files)} {' '.join(map(str, numbers))}"


def _read(phone: Phone, answer: Answer, task: Task, cargo: Cargo, remote: str, local: Path) -> Finding | None:
    told = [line for line in answer.stdout.splitlines() if line.startswith('{"runs"')]
    if not told:
        return None
    facts = json.loads(told[-1])
    phone.pull(f"{remote}/times.bin", local / "times.bin")
    outputs = []
    for number, expected in enumerate(cargo.answers[task.stage]):
        file = local / f"{number}.bin"
        phone.pull(f"{remote}/{task.stage}.out.{number}.bin", file)
        outputs.append(_tensor(file, expected))
    times = np.fromfile(local / "times.bin", np.int64)
    return Finding(times, tuple(outputs), facts["load_ms"], facts["peak_rss_kb"] / 1024)


def _tensor(path: Path, like: Tensor) -> Tensor:
    found = np.fromfile(path, like.numpy().dtype)
    if found.size != like.numel():
        raise ProcessFailed(f"an output holds {found.size} numbers, not {like.numel()}")
    return torch.from_numpy(found).reshape(like.shape)


EXECUTORCH = Runtime(
    check=lambda settings: find_format("executorch"),
    bundle=lambda abi, cache, settings: make_bundle(abi, cache),
    pack=pack,
    arguments=_arguments,
    read=_read,
    libraries=("torch", "executorch"),
)
