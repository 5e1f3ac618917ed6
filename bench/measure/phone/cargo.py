"""A method's stages as files for a phone: a program, what goes in, and what must come out."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.cells import Network, content_hash, file_hash
from bench.errors import ConfigError
from bench.export.formats import find_format
from bench.export.stages import Stage, stages
from bench.files import replace_atomically
from bench.networks import build, weights_file

ROOT = Path(__file__).resolve().parents[3]
CODE = ("methods/**/*.py", "bench/export/*.py")  # decides what a program computes
MODEL = "model.pte"


@dataclass(frozen=True)
class Scene:
    """What is segmented: frames of one size with a number of objects, and how many frames are remembered."""

    height: int
    width: int
    objects: int
    memory_frames: int | None


@dataclass(frozen=True)
class Cargo:
    """files: to be copied, the program as `MODEL`. inputs: their names by stage. answers: of the method itself."""

    key: str
    stages: list[Stage]
    files: tuple[Path, ...]
    inputs: dict[str, tuple[str, ...]]
    answers: dict[str, tuple[Tensor, ...]]


def make_cargo(network: Network, scene: Scene, runs: Path) -> Cargo:
    """Export the method's stages for ExecuTorch, once for one version of the code.

    Raises ConfigError for a method whose stages are not known or cannot be exported, and without ExecuTorch,
    MethodError for wrong options.
    """
    find_format("executorch")
    path = weights_file(network, runs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = build(network, runs, "cpu")
    found = stages(method, scene.height, scene.width, scene.objects, scene.memory_frames)
    key = content_hash(
        [
            [network.method, network.options, file_hash(path and str(path))],
            list(vars(scene).values()),
            code_hash(),
            [version(name) for name in find_format("executorch").libraries],
        ]
    )
    return pack(found, key, runs / "phone" / f"{network.method}-{key}")


@torch.no_grad()
def pack(found: list[Stage], key: str, folder: Path) -> Cargo:
    """The files of these stages in `folder`; a program that lies there is taken as it is.

    Raises ConfigError for a network with operators that ExecuTorch does not have.
    """
    model, programs = folder / MODEL, [stage.program for stage in found]
    if not model.exists():
        modules, write = nn.ModuleDict({s.name: s.module for s in found}), find_format("executorch").write
        try:
            replace_atomically(model, lambda path: write(modules, programs, path.with_suffix("")))
        except Exception as error:  # exporters raise errors of many kinds
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ConfigError(f"ExecuTorch cannot take this network: {reason.strip()}") from error
    inputs, files = {}, [model]
    for stage in found:
        inputs[stage.name] = tuple(f"{stage.name}.{tensor}.bin" for tensor in stage.inputs)
        for name, tensor in zip(inputs[stage.name], stage.inputs.values(), strict=True):
            tensor.contiguous().numpy().tofile(folder / name)
            files.append(folder / name)
    answers = {stage.name: _tuple(stage.module(*stage.inputs.values())) for stage in found}
    return Cargo(key, found, tuple(files), inputs, answers)


def code_hash() -> str:
    """Of the source that decides what programs compute."""
    found = hashlib.sha256()
    for path in sorted(path for pattern in CODE for path in ROOT.glob(pattern)):
        found.update(path.read_bytes())
    return found.hexdigest()


def _tuple(answer: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)
