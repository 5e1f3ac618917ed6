"""Where a run happens: device, library versions, commit. torch loads where it is needed: job=score needs none."""

import platform
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
        torch.zeros(1, device=wanted).tolist()  # "meta" has none
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device={wanted} cannot be used: {str(error).splitlines()[0]}") from None
    return wanted


def describe_environment(device: str) -> dict[str, str]:
    """The fields of a record that say on what it was made."""
    return {"device": device_name(device), "versions": versions(), "git_commit": git_commit()}


def device_name(device) -> str:
    """A name for people: "NVIDIA H100 80GB HBM3", or the processor's model with torch's number of threads.

    device: a torch.device, or its name.
    """
    import torch

    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    threads = torch.get_num_threads()
    return f"{_processor()} ({threads} thread{'s' if threads > 1 else ''})"


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


def _processor() -> str:
    """The processor's model as Linux tells it, or else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine() or "CPU")
