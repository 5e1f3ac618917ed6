"""A method's steps as files for a phone: a program, what goes in, and what must come out."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import torch

from bench.export.steps import example_steps
from bench.measure.scene import Scene
from bench.phone.runtime import Cargo, Runtime
from bench.plan.cells import Network, content_hash, file_hash, weights_file
from bench.run.networks import build

ROOT = Path(__file__).resolve().parents[2]
# what decides what a program computes
CODE = ("methods/**/*.py", "bench/export/*.py", "bench/phone/litert.py")


def make_cargo(network: Network, scene: Scene, runs: Path, runtime: Runtime) -> Cargo:
    """Export the method's steps, once for one version of the code.

    Raises ConfigError for a method whose steps are not known or cannot be exported, MethodError for wrong
    options.
    """
    path = weights_file(network, runs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = build(network, runs, "cpu")
    found = example_steps(method, scene)
    key = content_hash(
        [
            [network.method, network.options, file_hash(path and str(path))],
            [scene.height, scene.width, scene.objects, scene.memory_frames],
            code_hash(),
            [f"{name} {version(name)}" for name in runtime.libraries],
        ]
    )
    return runtime.pack(found, key, runs / "phone" / f"{network.method}-{key}")


def code_hash() -> str:
    """Of the source that decides what programs compute."""
    found = hashlib.sha256()
    for path in sorted(path for pattern in CODE for path in ROOT.glob(pattern)):
        found.update(path.read_bytes())
    return found.hexdigest()
