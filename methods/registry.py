"""The table of methods: all that is known of one without building it. No torch here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from methods.errors import MethodError
from methods.outside import is_outside


@dataclass(frozen=True)
class Entry:
    """A method.

    factory: "module:callable", called with `preset` and, over it, the options that a user gives.
    family: the choice of the configuration's group `family`, and of `recipe` where there is one of this name.
    learns: what the suite trains it on. images: with prompts.
    memory: options of what is remembered of a video.
    inference: options that change how a video is read but not what is learnt: networks that differ in these
    alone share weights.
    needs_weights: worth nothing as it is built, with random weights.
    teacher: trained on the labels alone in a comparison, as the suite's teachers are.
    heavy: takes minutes to measure on a CPU, so only where it is named.
    others: other people's code: it may raise anything, and reads weights that are a folder by its option `folder`.
    extra: the extra of pyproject.toml that it needs, and the package that this brings.
    """

    factory: str
    preset: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""
    learns: Literal["clips", "images", "nothing"] = "clips"
    memory: Collection[str] = ()
    inference: Collection[str] = ()
    needs_weights: bool = True
    teacher: bool = False
    heavy: bool = False
    others: bool = False
    extra: tuple[str, str] | None = None


_STUDENT = Entry(
    "methods.mobilevos.network:MobileVOS",
    family="space_time",
    memory=("memory_every", "queue_length", "write_rule"),
)
_DEAOT = Entry("methods.deaot.method:DeAOT", family="deaot", inference=("long_term_gap", "max_long_edge"))
_GROWING = {"layers": 3, "long_term_gap": 5, "train_gap": 2}
_SAM = Entry(
    "methods.sam.method:VideoSam",
    family="sam",
    learns="images",
    inference=(
        *("box_margin", "prompt_points", "lost_score", "search_scale", "search_grid"),
        *("search_points", "search_similarity"),
    ),
)
_HUGGING_FACE = Entry("methods.hf.video:PromptedVideo", learns="nothing", others=True, extra=("hf", "transformers"))
# In comments: millions of parameters as published, but for the student that is not in the paper.
METHODS: dict[str, Entry] = {
    "copy_first_mask": Entry("methods.copy_first_mask:CopyFirstMask", learns="nothing", needs_weights=False),
    "stcn": Entry(
        "methods.stcn.network:STCN",
        family="space_time",
        memory=("memory_every", "top_k", "include_last"),
        inference=("memory_every", "top_k", "include_last"),  # of clips it remembers every `train_every`-th frame
        teacher=True,
    ),
    "mobilevos_r18": replace(_STUDENT, preset={"backbone": "resnet18", "aspp": True}),  # 8.1
    "mobilevos_r18_no_aspp": replace(_STUDENT, preset={"backbone": "resnet18", "aspp": False}),
    "mobilevos_mnv2": replace(_STUDENT, preset={"backbone": "mobilenet_v2", "aspp": True}),  # 2.5
    "mobilevos_mnv2_no_aspp": replace(_STUDENT, preset={"backbone": "mobilenet_v2", "aspp": False}),  # 1.9
    "deaot_t": replace(_DEAOT, preset={"encoder": "mobilenet_v2", "layers": 1}),  # 7.24
    "deaot_s": replace(_DEAOT, preset={"encoder": "mobilenet_v2", "layers": 2}),  # 10.2
    "deaot_b": replace(_DEAOT, preset={"encoder": "mobilenet_v2", "layers": 3}),  # 13.2
    "deaot_l": replace(_DEAOT, preset={"encoder": "mobilenet_v2", **_GROWING}),  # 13.2
    "r50_deaot_l": replace(_DEAOT, preset={"encoder": "resnet50", **_GROWING}),  # 19.8
    "mobile_sam": replace(_SAM, preset={"encoder": "tiny_vit"}),  # 10.13, 0.32 in a classifier for nothing
    "sam_vit_b": replace(_SAM, preset={"encoder": "vit_b"}, heavy=True),  # 93.7
    "sam_vit_h": replace(_SAM, preset={"encoder": "vit_h"}, heavy=True),  # 641: 2.6 GB
    "hf_sam2_video": replace(_HUGGING_FACE, preset={"kind": "Sam2Video"}),  # SAM 2 or 2.1, any size
    "hf_edgetam_video": replace(_HUGGING_FACE, preset={"kind": "EdgeTamVideo"}),  # needs timm too
}


def register(name: str, entry: Entry) -> None:
    """Add a method. Raises MethodError for a name that is taken."""
    if name in METHODS or is_outside(name):
        raise MethodError(f"there is a method '{name}' already: register another name")
    METHODS[name] = entry


def entry(name: str) -> Entry:
    """What is known of a method. MethodError, which lists those that are, for an unknown name.

    Of a user's own nothing is known: it may load weights itself, and calls its options as the suite's do.
    """
    if name in METHODS:
        return METHODS[name]
    if is_outside(name):
        inference = frozenset().union(*(known.inference for known in METHODS.values()))
        return Entry("", inference=inference, needs_weights=False, others=True)
    hint = f"'{name}:<its class>'" if name.endswith(".py") else "my_file.py:MyMethod or masks:/path/to/folder"
    known = ", ".join(sorted(name for name, found in METHODS.items() if not found.extra))
    raise MethodError(f"unknown method '{name}'; known: {known}; of your own: {hint}")
