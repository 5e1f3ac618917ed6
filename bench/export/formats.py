"""The file formats: each writes programs, methods of a module, into files and runs them from there."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.export.steps import Function, Program
from bench.system.errors import ConfigError

OPSET = 18  # of ONNX: what torch's exporter writes without converting

Run = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Format:
    """write(steps, programs, stem) -> {program: file}, files `stem`.*; load(programs, files) -> {program: run}.

    modules: what it imports; extra: ours that installs them; libraries: distributions whose version matters.
    """

    write: Callable[[nn.Module, list[Program], Path], dict[str, Path]]
    load: Callable[[list[Program], dict[str, Path]], dict[str, Run]]
    modules: tuple[str, ...] = ()
    extra: str = ""
    libraries: tuple[str, ...] = ("torch",)


def find_format(name: str) -> Format:
    """The format of this name. Raises ConfigError for an unknown one and where its libraries are missing."""
    if name not in FORMATS:
        raise ConfigError(f"unknown format '{name}'; known: {', '.join(FORMATS)}")
    found = FORMATS[name]
    missing = [module for module in found.modules if find_spec(module) is None]
    if missing:
        raise ConfigError(
            f"format={name} needs {', '.join(missing)}; install with "
            f".venv/bin/python -m pip install -e '.[{found.extra}]' -c constraints.txt"
        )
    return found


def write_torchscript(steps: nn.Module, programs: list[Program], stem: Path) -> dict[str, Path]:
    """One file with a method for each program; they share the weights."""
    path = stem.with_name(f"{stem.name}.pt")
    examples = {program.name: tuple(program.inputs.values()) for program in programs}
    with quiet():  # what tracing freezes is what `verify` compares
        torch.jit.save(torch.jit.trace_module(steps, examples, check_trace=False), path)
    return dict.fromkeys(examples, path)


def load_torchscript(programs: list[Program], files: dict[str, Path]) -> dict[str, Run]:
    with quiet():
        network = torch.jit.load(files["start"])
    return {program.name: _as_tuple(getattr(network, program.name)) for program in programs}


def write_onnx(steps: nn.Module, programs: list[Program], stem: Path) -> dict[str, Path]:
    """A file for each program, with the weights inside."""
    files = {}
    for program in programs:
        files[program.name] = path = stem.with_name(f"{stem.name}.{program.name}.onnx")
        with quiet():
            torch.onnx.export(
                Function(steps, program.name),
                tuple(program.inputs.values()),
                path,
                input_names=list(program.inputs),
                output_names=list(program.outputs),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    return files


def load_onnx(programs: list[Program], files: dict[str, Path]) -> dict[str, Run]:
    """On the processor, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()

    def load(program: Program) -> Run:
        session = onnxruntime.InferenceSession(files[program.name], options, ["CPUExecutionProvider"])

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            arrays = {name: x.numpy() for name, x in zip(program.inputs, inputs, strict=True)}
            return tuple(map(torch.from_numpy, session.run(list(program.outputs), arrays)))

        return run

    return {program.name: load(program) for program in programs}


def write_executorch(steps: nn.Module, programs: list[Program], stem: Path) -> dict[str, Path]:
    """One file with a method for each program, for the processor (XNNPACK)."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower
        from executorch.exir.passes.constant_prop_pass import constant_prop_pass

        def graph(program: Program):
            function, inputs = Function(steps, program.name), tuple(program.inputs.values())
            exported = torch.export.export(function, inputs, strict=False)
            return constant_prop_pass(exported.run_decompositions({}))  # what depends on sizes alone

        graphs = {program.name: graph(program) for program in programs}
        lowered = to_edge_transform_and_lower(graphs, partitioner=[XnnpackPartitioner()]).to_executorch()
    path = stem.with_name(f"{stem.name}.pte")
    with path.open("wb") as file:
        lowered.write_to_file(file)
    return dict.fromkeys(graphs, path)


def load_executorch(programs: list[Program], files: dict[str, Path]) -> dict[str, Run]:
    from executorch.runtime import Runtime

    loaded = Runtime.get().load_program(files["start"])

    def load(program: Program) -> Run:
        method = loaded.load_method(program.name)
        # the runtime may use an output's memory again in its next call
        return lambda *inputs: tuple(x.clone() for x in method.execute(inputs))

    return {program.name: load(program) for program in programs}


FORMATS = {
    "torchscript": Format(write_torchscript, load_torchscript),
    "onnx": Format(
        write_onnx, load_onnx, ("onnxscript", "onnxruntime"), "export",
        ("torch", "onnx", "onnxscript", "onnxruntime"),
    ),
    "executorch": Format(
        write_executorch, load_executorch, ("executorch",), "phone", ("torch", "executorch"),
    ),
}  # fmt: skip


def _as_tuple(function) -> Run:
    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        found = function(*inputs)
        return (found,) if isinstance(found, Tensor) else tuple(found)

    return run


@contextmanager
def quiet() -> Iterator[None]:
    """Exporters warn of their own insides, which a user can do nothing about."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(disabled)
