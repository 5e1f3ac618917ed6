"""job=export: a method as files for another runtime, checked against the method itself."""

import sys
import warnings
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from bench.export.formats import find_format
from bench.export.steps import Program, StaticSteps, static_steps
from bench.export.verify import verify
from bench.jobs.results import results_folder
from bench.plan.cells import Network, name_for_files
from bench.plan.compose import to_dataclass
from bench.plan.keys import Shape
from bench.run.networks import build
from bench.system.environment import git_commit
from bench.system.files import full_path, sha256, write_json

MANIFEST = "manifest.json"


def run(config: DictConfig, runs: Path) -> int:
    """Export into the results folder; the exit code is 1 when the files do not do what the method does."""
    chosen = find_format(config.format)
    shape = to_dataclass(config.export, Shape)
    options: Any = OmegaConf.to_container(config.options)
    path = full_path(config.weights)
    network = Network(config.method, options, path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = build(network, runs, "cpu")
    steps = static_steps(method, shape.height, shape.width, shape.objects)
    if path is None:
        warnings.warn("no weights=/path/to/checkpoint.pth: what is exported has random weights", stacklevel=2)

    name = name_for_files(config.method)
    out = results_folder(config, f"export-{name}-{config.format}")
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)  # it would describe other files if this were stopped
    with torch.no_grad():
        programs = steps.programs()
        files = chosen.write(steps, programs, out / name)
        checked = verify(steps, programs, chosen.load(programs, files))
        described = [_describe(steps, program, files[program.name]) for program in programs]
    content = {
        "method": config.method,
        "options": network.options,
        "weights": {"file": Path(path).name, "sha256": sha256(Path(path))} if path else None,
        "format": config.format,
        **asdict(shape),
        "frame": "RGB in [0, 1]; normalising and padding are inside",
        "mask": f"object ids 1 to {shape.objects}, 0 = background; every id occurs",
        "probabilities": "background first, then the ids in increasing order",
        "memory": {"frames": steps.memory_frames, "every": steps.memory_every, "changed": steps.changed},
        "programs": described,
        "verification": {**asdict(checked), "passed": checked.passed},
        "files": {
            file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(set(files.values()))
        },
        "versions": {name: version(name) for name in chosen.libraries},
        "git_commit": git_commit(),
    }
    write_json(out / MANIFEST, content)
    return _report(content, checked, out)


def _report(content: dict, checked, out: Path) -> int:
    for name, facts in sorted(content["files"].items()):
        print(f"{name}: {facts['bytes'] / 1e6:.1f} MB")
    print(f"largest difference to {content['method']} over {checked.frames} frames: {checked.max_abs_error:.1e}")
    print(f"results: {out}")
    if not checked.passed:
        text = f"error: the files differ from the method by more than {checked.tolerance:g}: do not use them"
        print(text, file=sys.stderr)
        return 1
    if not checked.sees_memory:
        warnings.warn(
            "this network's answers hardly depend on what it remembers, so the check says nothing about the "
            "memory (untrained weights?)",
            stacklevel=2,
        )
    return 0


def _describe(steps: StaticSteps, program: Program, file: Path) -> dict:
    """Names, types and shapes of a program's tensors, in the order of its arguments and answers."""
    found = getattr(steps, program.name)(*program.inputs.values())
    outputs = (found,) if isinstance(found, torch.Tensor) else found

    def facts(name: str, x: torch.Tensor) -> dict:
        return {"name": name, "dtype": str(x.dtype).removeprefix("torch."), "shape": list(x.shape)}

    return {
        "name": program.name,
        "file": file.name,
        "inputs": [facts(name, x) for name, x in program.inputs.items()],
        "outputs": [facts(name, x) for name, x in zip(program.outputs, outputs, strict=True)],
    }
