"""Video object segmentation methods behind one adapter.

    method = methods.create("mobilevos_r18")
    method.start(frame, mask)         # float (3, H, W) RGB in [0, 1]; integer (H, W) object ids, 0 = background
    probabilities = method.step(frame)   # float (N + 1, H, W), background first, then ids in increasing order

Importing this package is cheap: torch and the model code load when a method is created. Methods of users' own
are named as `methods.outside` says.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from methods import outside
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
# Of the extra `hf`: pretrained elsewhere, from a folder, and not trained here
_HUGGING_FACE = {
    "hf_sam2_video": "methods.hf.video:sam2_video",
    "hf_edgetam_video": "methods.hf.video:edgetam_video",
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
    """Names of the suite's own methods, sorted; `create` accepts those of `optional` and of users' own too."""
    return sorted(_FACTORIES)


def optional() -> list[str]:
    """Names of methods that need an extra, sorted."""
    return sorted(_HUGGING_FACE)


def check_name(name: str) -> None:
    """Raise MethodError when there is no method of this name, listing those that are, or its extra is missing."""
    if name in _HUGGING_FACE:
        if find_spec("transformers") is None:
            raise MethodError(
                f"method '{name}' needs transformers: pip install -e '.[hf]' -c constraints.txt"
            )
    elif outside.is_outside(name):
        outside.check(name)
    elif name not in _FACTORIES:
        hint = (
            f"'{name}:<its class>'"
            if name.endswith(".py")
            else "my_file.py:MyMethod or masks:/path/to/folder"
        )
        raise MethodError(f"unknown method '{name}'; known: {', '.join(available())}; of your own: {hint}")


def is_trainable(name: str) -> bool:
    """Whether the suite can train it. Raises MethodError for an unknown name; runs the code of a user's own."""
    check_name(name)
    if outside.is_outside(name):
        return outside.is_trainable(name)
    return name in _FACTORIES and name not in _UNTRAINED


def learns_from_images(name: str) -> bool:
    """Whether the method learns from images and prompts (SAM), not from clips. MethodError for an unknown name."""
    check_name(name)
    return name in _OF_IMAGES


def needs_weights(name: str) -> bool:
    """Whether it is worth nothing as it is built, with random weights. A user's own may load them itself."""
    return name in _HUGGING_FACE or (name in _FACTORIES and name not in _UNTRAINED)


def reads_folders(name: str) -> bool:
    """Whether its weights may be a folder, which its constructor reads as the option `folder`."""
    return name in _HUGGING_FACE or outside.is_outside(name)


def family(name: str) -> str:
    """The folder that one of the suite's own methods comes from: stcn, mobilevos, deaot; empty for others' code."""
    return _FACTORIES[name].split(".")[1] if name in _FACTORIES else ""


def create(name: str, **options) -> "Method | outside.MaskFolder":
    """Build a method with random weights, ready for inference (eval mode).

    `options` are its constructor's; their defaults are the published ones.
    Raises MethodError for an unknown name or option.
    """
    check_name(name)
    if outside.is_outside(name):
        return outside.create(name, options)
    module, factory = (_FACTORIES | _HUGGING_FACE)[name].split(":")
    try:
        method = getattr(import_module(module), factory)(**options)
        return method.eval() if needs_weights(name) else method
    except TypeError as error:
        if "unexpected keyword" not in str(error):
            raise
        raise MethodError(f"method '{name}': {str(error).split('()')[-1].strip()}") from None
