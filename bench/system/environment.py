"""Where a run happens: device, library versions, commit. torch loads where it is needed: job=score needs none."""

import subprocess
from importlib.metadata import version
from pathlib import Path

from bench.system.errors import ConfigError

LIBRARIES = ("torch", "numpy", "opencv-python-headless", "pillow")


def pick_device(wanted: str) -> str:
    """`auto` is the first CUDA device, otherwise the CPU. Raises ConfigError for one that is not there."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={wanted} cannot be used: {str(error).splitlines()[0]}") from None
    return wanted


def describe_environment(device: str) -> dict[str, str]:
    """The fields of a record that say on what it was made."""
    from bench.measure.latency import device_name

    return {"device": device_name(device), "versions": versions(), "git_commit": git_commit()}


def versions() -> str:
    """The versions of the libraries that results depend on: `torch=2.13.0 numpy=...`."""
    return " ".join(f"{name}={version(name)}" for name in LIBRARIES)


def git_commit() -> str:
    """The commit of this checkout, with `+` when files have changed; empty outside git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
