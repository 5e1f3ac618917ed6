"""A small program, and phones of this machine's own kind that can run it."""

import os
import platform
import shutil
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from bench.phone.adb import PhoneError, find_adb
from bench.phone.bundle import MACHINES
from methods.steps import Step

QUICK = {"threads": [1], "repeats": 2, "warmups": 1, "runs": 3, "seconds": 0.0}


def require(*programs: str) -> None:
    """Skip, or fail under VOS_BENCH_NEEDS_PHONE=1, where a program or ExecuTorch is missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    try:
        find_adb()
    except PhoneError:
        missing.append("adb")
    if find_spec("executorch") is None:
        missing.append("executorch (pip install -e '.[phone]')")
    if missing:
        stop = pytest.fail if os.environ.get("VOS_BENCH_NEEDS_PHONE") == "1" else pytest.skip
        stop(f"not installed: {', '.join(missing)}")


def own_abi() -> str:
    """What Android calls this machine."""
    found = [abi for abi, machine in MACHINES.items() if machine.name == platform.machine()]
    if not found:
        pytest.skip(f"phones of {platform.machine()} do not exist")
    return found[0]


class Filter(nn.Module):
    """A convolution, and how large its answers are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.conv(x)
        return y, (y * y).mean((2, 3))


class Match(nn.Module):
    """One map where another is like it."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a.transpose(1, 2) @ b).softmax(-1)


def toy_steps(*_) -> list[Step]:
    """Two steps; every second frame needs the second."""
    noise = torch.Generator().manual_seed(1)
    x, a, b = (torch.rand(shape, generator=noise) for shape in ((1, 3, 16, 24), (1, 8, 20), (1, 8, 30)))
    look = Step("look", Filter().eval().requires_grad_(False), {"x": x}, ("map", "size"))
    return [look, Step("match", Match(), {"a": a, "b": b}, ("weights",), 0.5)]
