"""Starting a method's backbones from ImageNet weights."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from methods.checkpoint import load_strictly, read_file, read_state

COUNTER = "num_batches_tracked"  # of batch normalisation; frozen ones have none


def initialize_backbones(method: Any, files: Mapping[str, str | Path | None]) -> dict[str, str]:
    """Load ImageNet weights into `method.backbones`; returns, by backbone, "imagenet:<file>" or "random".

    files: {"resnet18" | "resnet50" | "mobilenet_v2": path or None}, state dicts with torchvision's key names or the
    encoder's own. One that says what else it was learnt from (`meta: {source: ...}`) gives "<source>:<file>".
    A first convolution with more input channels than the checkpoint's keeps its random weights for the extra
    ones. A missing file gives one warning and random initialisation. Raises MethodError for a wrong file.
    """
    report = {}
    for name, part in method.backbones.items():
        path = files.get(name)
        report[name] = "random"
        if path is None:
            continue
        if not Path(path).is_file():
            warnings.warn(
                f"ImageNet weights for {name} not found at {path}: starting from random ones", stacklevel=2
            )
            continue
        content = read_file(Path(path))
        state = read_state(Path(path), content)
        for encoder in part if isinstance(part, nn.ModuleList) else [part]:
            load_strictly(encoder, _fitted(encoder, state), str(path))
        meta = content.get("meta") if isinstance(content, dict) else None
        source = meta.get("source") if isinstance(meta, dict) else None
        report[name] = f"{source or 'imagenet'}:{Path(path).name}"
    return report


def _fitted(encoder: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's keys as this encoder calls them, without what lies above stride 16.

    What an ImageNet classifier never has stays as it is: counters, biases of convolutions, added modules.
    """
    own = encoder.state_dict()
    ignored, added, names = (getattr(encoder, f"imagenet_{part}", ()) for part in ("ignored", "absent", "names"))
    fitted = {}
    for name, tensor in state.items():
        if name.startswith(ignored) or (name not in own and name.endswith(COUNTER)):
            continue
        key, value = name, tensor
        for old, new in names:
            if name.startswith(old):
                key = new + name.removeprefix(old)
        if key in own and value.ndim == 4 and own[key].shape[1] > value.shape[1]:
            value = torch.cat([value, own[key][:, value.shape[1] :]], 1)
        fitted[key] = value
    for key, value in own.items():
        weight = own.get(key.removesuffix("bias") + "weight") if key.endswith(".bias") else None
        if key.endswith(COUNTER) or key.startswith(added) or (weight is not None and weight.ndim == 4):
            fitted.setdefault(key, value)
    return fitted
