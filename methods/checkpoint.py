"""Loading weights strictly: what does not fit is named, never dropped."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from methods.errors import MethodError, check_is_file

MIB = 2**20
LARGEST_INSIDE = 10  # times its size: what an archive may hold


def read_state(path: Path, content: Any = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint: bare, or under `state_dict`, `model` or `network`; `module.` is stripped.

    content: what `read_file` has found in it, where it has been read. Raises MethodError for anything else.
    """
    content = read_file(path) if content is None else content
    for wrapper in ("state_dict", "model", "network"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise MethodError(f"{path} holds no state dict (a dictionary of tensors by name)")
    return {key.removeprefix("module."): value for key, value in content.items()}


def read_file(path: Path, device: str = "cpu", holding: Mapping[str, type] | None = None):
    """`torch.load` onto a device; one clear message for a file that is absent, damaged or no plain checkpoint.

    Loads with `weights_only=True`, so a file cannot run code.
    holding: what the dictionary in it has at least, by key; without, it may be anything.
    """
    check_is_file(path)
    if not Path(path).is_file():
        raise MethodError(f"checkpoint not found: {path}")
    try:
        check_archive(path)
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        if "weights_only" in str(error):  # torch goes on to tell how to run what is in it
            reason = "it is damaged, or holds more than tensors and plain values, which alone are read"
        raise MethodError(f"cannot read the checkpoint {path}: {reason or type(error).__name__}") from None
    for key, kind in (holding or {}).items():
        if not isinstance(content, dict) or not isinstance(content.get(key), kind):
            raise MethodError(f"cannot read the checkpoint {path}: it is of another kind, without '{key}'")
    return content


def check_archive(path: Path) -> None:
    """Raise zipfile.BadZipFile where the bytes are not those that `torch.save` wrote, which torch does not tell.

    So it does, before anything is unpacked, for an archive that is larger inside: torch compresses nothing. Files
    of before torch 1.6 hold no sums, nor do those that were saved without (`set_crc32_options`).
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inside = sum(entry.file_size for entry in archive.infolist())
            if inside > LARGEST_INSIDE * Path(path).stat().st_size + MIB:
                raise zipfile.BadZipFile(f"{inside / MIB:.0f} MB are packed into it, which torch never does")
            damaged = any(entry.CRC for entry in archive.infolist()) and archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} is damaged")


def load_weights(method: nn.Module, path: Path, content: Any = None) -> None:
    """Load a checkpoint (`content`, where it has been read) into a method; MethodError names every mismatch."""
    if not isinstance(method, nn.Module):
        raise MethodError(
            f"{type(method).__name__} is no torch.nn.Module, so weights={path} cannot be loaded into it: "
            f"leave them out, or give it the file as an option of its own"
        )
    state = read_state(path, content)
    adapt = getattr(method, "adapt_checkpoint", None)
    load_strictly(method, adapt(state) if adapt else state, str(path))


def load_strictly(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """`load_state_dict` whose error names the missing, unexpected and misshapen keys of `source`, and NaNs."""
    own = module.state_dict()
    problems = {
        "missing": [k for k in own if k not in state],
        "unexpected": [k for k in state if k not in own],
        "of another shape": [
            f"{k} {list(state[k].shape)} instead of {list(own[k].shape)}"
            for k in own
            if k in state and state[k].shape != own[k].shape
        ],
    }
    found = [f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in problems.items() if keys]
    if found:
        raise MethodError(f"{source} does not fit {type(module).__name__}: {'; '.join(found)}")
    lost = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if lost:
        raise MethodError(f"{source} holds values that are no numbers (NaN or infinite): {_some(lost)}")
    module.load_state_dict(state)


def _some(keys: list[str], limit: int = 3) -> str:
    return ", ".join(keys[:limit]) + (", ..." if len(keys) > limit else "")
