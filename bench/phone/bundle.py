"""What a phone needs to run an ExecuTorch program: our runner, ExecuTorch's libraries, glibc and its loader.

The wheels of ExecuTorch for Linux hold its headers and libraries, on x86_64 and aarch64, so that a compiler of
Debian is enough: no NDK. A phone has no glibc, so it comes along; its loader starts the runner.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bench.phone.runtime import Bundle
from bench.plan.cells import content_hash
from bench.system.errors import ConfigError

SOURCE = Path(__file__).parent / "runner" / "et_runner.cpp"
RUNNER = "et_runner"
INSTALL = ".venv/bin/python -m pip install -e '.[phone]' -c constraints.txt"
LIBRARIES = ("executorch", "executorch_kernels_optimized", "executorch_backend_xnnpack", "executorch_threadpool")
GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1")
DEFINITIONS = ("C10_USING_CUSTOM_GENERATED_MACROS", "ET_EVENT_TRACER_ENABLED", "ET_USE_THREADPOOL")


class Machine(NamedTuple):
    """What Android calls an ABI, as Linux calls it."""

    name: str
    loader: str


MACHINES = {
    "arm64-v8a": Machine("aarch64", "ld-linux-aarch64.so.1"),
    "x86_64": Machine("x86_64", "ld-linux-x86-64.so.2"),
}


def make_bundle(abi: str, cache: Path) -> Bundle:
    """The bundle for phones of this ABI, built once into a folder below `cache`.

    Raises ConfigError where ExecuTorch or the compiler is missing, and for an ABI without 64 bits.
    """
    if abi not in MACHINES:
        raise ConfigError(f"the phone's ABI is '{abi}'; ExecuTorch has libraries for {', '.join(MACHINES)}")
    machine = MACHINES[abi]
    if find_spec("executorch") is None:
        raise ConfigError(f"target=phone needs executorch; install with {INSTALL}")
    release, compiler = version("executorch").partition("+")[0], find_compiler(machine)
    about = _ask(compiler, "--version").partition("\n")[0]
    key = content_hash([SOURCE.read_text(encoding="utf-8"), _flags(Path(), release), release, abi, about])
    folder = cache / f"runner-{abi}-{key}"
    if not folder.is_dir():
        _build(folder, machine, compiler, release, cache)
    return Bundle(
        files=tuple(sorted(folder.iterdir())),
        command=f"./{machine.loader} --library-path . ./{RUNNER}",
        key=key,
        name=f"ExecuTorch {release}, XNNPACK",
        libc=f"glibc of {about}",
        probe="--version",
        answer=f"ExecuTorch {release}",
        hint=f"it brings glibc of {about} along, which some phones forbid",
    )


def find_compiler(machine: Machine) -> str:
    name = "g++" if platform.machine() == machine.name else f"{machine.name}-linux-gnu-g++"
    if sys.platform != "linux" or shutil.which(name) is None:
        package = "g++" if name == "g++" else f"g++-{machine.name.replace('_', '-')}-linux-gnu"
        raise ConfigError(
            f"target=phone needs the compiler {name}; install it on a Linux machine with apt install {package}"
        )
    return name


def _build(folder: Path, machine: Machine, compiler: str, release: str, cache: Path) -> None:
    """Compile and gather into `folder`, which is there when everything is."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".build-") as temporary:
        made = Path(temporary) / "bundle"
        made.mkdir()
        root = _executorch(machine, release, Path(temporary))
        libraries = [f"-L{root / 'lib'}", "-Wl,--no-as-needed", *(f"-l{name}" for name in LIBRARIES)]
        command = [compiler, *_flags(root, release), str(SOURCE), "-o", str(made / RUNNER), *libraries]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            errors = [line for line in built.stderr.splitlines() if "error" in line] or ["no reason given"]
            raise ConfigError(f"{compiler} cannot build the runner: {errors[0]}")
        for name in LIBRARIES:
            shutil.copy(root / "lib" / f"lib{name}.so", made)
        for name in (*GLIBC, machine.loader):
            path = Path(_ask(compiler, f"-print-file-name={name}").strip())
            if not path.is_file():
                raise ConfigError(f"{compiler} has no {name}: is its C library installed?")
            shutil.copy(path.resolve(), made / name)
        try:
            os.replace(made, folder)
        except OSError:  # another run was faster
            if not folder.is_dir():
                raise


def _flags(root: Path, release: str) -> list[str]:
    c10 = root / "include/executorch/runtime/core/portable_type/c10"
    return [
        "-std=c++17", "-O2", "-w", *(f"-D{name}" for name in DEFINITIONS),
        f'-DEXECUTORCH_VERSION="{release}"', f"-I{root / 'include'}", f"-I{c10}",
    ]  # fmt: skip


def _executorch(machine: Machine, release: str, temporary: Path) -> Path:
    """The folder that holds ExecuTorch's `include` and `lib` for the machine: installed, or from its wheel."""
    if platform.machine() == machine.name:
        return Path(str(distribution("executorch").locate_file("executorch")))
    python = ".".join(platform.python_version_tuple()[:2])
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--platform", f"manylinux_2_28_{machine.name}", "--python-version", python, "--dest", str(temporary),
        f"executorch=={release}",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(temporary.glob("executorch-*.whl"))
    if found.returncode or not wheels:
        reason = (found.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"cannot fetch executorch {release} for {machine.name} with pip: {reason}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = [n for n in wheel.namelist() if n.startswith(("executorch/include/", "executorch/lib/"))]
        wheel.extractall(temporary / "wheel", names)
    return temporary / "wheel" / "executorch"


def _ask(compiler: str, question: str) -> str:
    return subprocess.run([compiler, question], capture_output=True, text=True, check=True).stdout
