"""ExecuTorch with XNNPACK, run on the phone by our runner (`runner/et_runner.cpp`)."""

import json
import shlex
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bench.export.formats import find_format
from bench.export.steps import Program
from bench.phone.adb import Answer, Phone
from bench.phone.bundle import make_bundle
from bench.phone.runtime import Cargo, Finding, ProcessFailed, Runtime, Task, exporting
from bench.system.files import replace_atomically
from methods.steps import Step

MODEL = "model.pte"


@torch.no_grad()
def pack(steps: list[Step], key: str, folder: Path) -> Cargo:
    """One program for all steps, and the tensors that go in."""
    model, programs = folder / MODEL, [Program(s.name, s.inputs, s.outputs) for s in steps]
    if not model.exists():
        modules, write = nn.ModuleDict({s.name: s.module for s in steps}), find_format("executorch").write
        with exporting("ExecuTorch"):
            replace_atomically(model, lambda path: write(modules, programs, path.with_suffix("")))
    pairs = [pair for step in steps for pair in zip(input_files(step), step.inputs.values(), strict=True)]
    for name, tensor in pairs:
        tensor.contiguous().numpy().tofile(folder / name)
    return Cargo(key, steps, (model, *(folder / name for name, _ in pairs)))


def input_files(step: Step) -> list[str]:
    """Of the tensors that a step takes, in order."""
    return [f"{step.name}.{tensor}.bin" for tensor in step.inputs]


def _arguments(task: Task, remote: str) -> str:
    name, inputs = task.stage.name, ",".join(f"{remote}/{file}" for file in input_files(task.stage))
    files = [f"{remote}/{MODEL}", name, inputs, f"{remote}/{name}.out.", f"{remote}/times.bin"]
    numbers = [task.threads, task.warmups, task.runs, f"{task.seconds:g}", f"{task.max_seconds:g}"]
    return f"{shlex.join(files)} {' '.join(map(str, numbers))}"


def _read(phone: Phone, answer: Answer, task: Task, cargo: Cargo, remote: str, local: Path) -> Finding | None:
    told = [line for line in answer.stdout.splitlines() if line.startswith('{"runs"')]
    if not told:
        return None
    facts = json.loads(told[-1])
    phone.pull(f"{remote}/times.bin", local / "times.bin")
    outputs = []
    for number, expected in enumerate(cargo.answers[task.stage.name]):
        file = local / f"{number}.bin"
        phone.pull(f"{remote}/{task.stage.name}.out.{number}.bin", file)
        found = np.fromfile(file, expected.numpy().dtype)
        if found.size != expected.numel():
            raise ProcessFailed(f"an output holds {found.size} numbers, not {expected.numel()}")
        outputs.append(torch.from_numpy(found).reshape(expected.shape))
    times = np.fromfile(local / "times.bin", np.int64)
    return Finding(times, tuple(outputs), facts["load_ms"], facts["peak_rss_kb"] / 1024)


EXECUTORCH = Runtime(
    check=lambda settings: find_format("executorch"),
    bundle=lambda abi, cache, settings: make_bundle(abi, cache),
    pack=pack,
    arguments=_arguments,
    read=_read,
    libraries=("torch", "executorch"),
)
