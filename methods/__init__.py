"""Video object segmentation methods behind one adapter.

    method = methods.create("mobilevos_r18")
    method.start(frame, mask)         # float (3, H, W) RGB in [0, 1]; integer (H, W) object ids, 0 = background
    probabilities = method.step(frame)   # float (N + 1, H, W), background first, then ids in increasing order

Importing this package is cheap: torch and the model code load when a method is created.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from methods.errors import MethodError

if TYPE_CHECKING:
    from methods.interface import Method

__all__ = ["Method", "MethodError", "available", "create", "is_trainable", "learns_from_images"]

_FACTORIES = {
    "copy_first_mask": "methods.copy_first_mask:CopyFirstMask",
    "stcn": "methods.stcn.network:STCN",
    "mobilevos_r18": "methods.mobilevos.network:mobilevos_r18",
    "mobilevos_r18_no_aspp": "methods.mobilevos.network:mobilevos_r18_no_aspp",
    "mobilevos_mnv2": "methods.mobilevos.network:mobilevos_mnv2",
    "mobilevos_mnv2_no_aspp": "methods.mobilevos.network:mobilevos_mnv2_no_aspp",
    "deaot_t": "methods.deaot.method:deaot_t",
    "deaot_s": "methods.deaot.method:deaot_s",
    "deaot_b": "methods.deaot.method:deaot_b",
    "deaot_l": "methods.deaot.method:deaot_l",
    "r50_deaot_l": "methods.deaot.method:r50_deaot_l",
    "mobile_sam": "methods.sam.method:mobile_sam",
    "sam_vit_b": "methods.sam.method:sam_vit_b",
    "sam_vit_h": "methods.sam.method:sam_vit_h",
}
# Options that change how a video is read but not what is learnt: networks that differ in these share weights.
INFERENCE_OPTIONS = frozenset(
    {"memory_every", "top_k", "include_last", "queue_length", "write_rule", "long_term_gap", "max_long_edge"}
    | {"box_margin", "prompt_points", "lost_score", "search_scale"}
    | {"search_grid", "search_points", "search_similarity"}
)
_UNTRAINED = frozenset({"copy_first_mask"})
_OF_IMAGES = frozenset({"mobile_sam", "sam_vit_b", "sam_vit_h"})


def available() -> list[str]:
    """Names that `create` accepts, sorted."""
    return sorted(_FACTORIES)


def check_name(name: str) -> None:
    """Raise MethodError, listing the known names, when there is no method of this name."""
    if name not in _FACTORIES:
        raise MethodError(f"unknown method '{name}'; known: {', '.join(available())}")


def is_trainable(name: str) -> bool:
    """Whether the method has weights to learn. Raises MethodError for an unknown name."""
    check_name(name)
    return name not in _UNTRAINED


def learns_from_images(name: str) -> bool:
    """Whether the method learns from images and prompts (SAM), not from clips. MethodError for an unknown name."""
    check_name(name)
    return name in _OF_IMAGES


def create(name: str, **options) -> "Method":
    """Build a method with random weights, ready for inference (eval mode).

    `options` are its constructor's; their defaults are the published ones.
    Raises MethodError for an unknown name or option.
    """
    check_name(name)
    module, factory = _FACTORIES[name].split(":")
    try:
        method = getattr(import_module(module), factory)(**options)
        return method.eval() if is_trainable(name) else method
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise MethodError(f"method '{name}': {str(error).split('()')[-1].strip()}") from None
