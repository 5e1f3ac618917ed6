"""A method's steps as files for a phone, by one of the runtimes: a program, what goes in, what must come out."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import torch

from bench.export.steps import example_steps
from bench.measure.scene import Scene
from bench.phone.executorch import EXECUTORCH
from bench.phone.litert import LITERT
from bench.phone.runtime import Cargo, Runtime
from bench.plan.cells import Network, content_hash, file_hash, weights_file
from bench.run.networks import build
from bench.system.errors import ConfigError

RUNTIMES = {"executorch": EXECUTORCH, "litert": LITERT}
ROOT = Path(__file__).resolve().parents[2]
# what decides what a program computes
CODE = ("methods/**/*.py", "bench/export/*.py", "bench/phone/litert.py")


def find_runtime(name: str) -> Runtime:
    """The runtime `phone.runtime=name`. Raises ConfigError for an unknown one."""
    if name not in RUNTIMES:
        raise ConfigError(f"phone.runtime={name}: choose one of {', '.join(RUNTIMES)}")
    return RUNTIMES[name]


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
    code = b"".join(path.read_bytes() for path in sorted(path for pattern in CODE for path in ROOT.glob(pattern)))
    key = content_hash(
        [
            [network.method, network.options, file_hash(str(path) if path else None)],
            [scene.height, scene.width, scene.objects, scene.memory_frames],
            hashlib.sha256(code).hexdigest(),
            [f"{name} {version(name)}" for name in runtime.libraries],
        ]
    )
    return runtime.pack(found, key, runs / "phone" / f"{network.method}-{key}")
