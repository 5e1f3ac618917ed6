"""What a loss is, and the table of them all. Nothing here or beside it loads torch before a loss is computed."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, ClassVar

from bench.losses.seen import Seen

if TYPE_CHECKING:
    from torch import Tensor, nn

Sums = tuple["Tensor", "Tensor | int"]


class Reads(Flag):
    """What a loss reads, from which follows what a training computes for it."""

    LABELS = auto()  # the data's own or the teacher's, as recipe.labels says
    ANSWERS = auto()  # the student's logits, which all of a network makes
    TEACHERS_ANSWERS = auto()
    FEATURES = auto()  # the student's and the teacher's, before the classifier
    PIXELS = auto()  # these at the pixels that recipe.sampling chooses
    MAPS = auto()  # attention maps of both
    ENCODINGS = auto()  # what the encoders alone make of frames or images
    PROMPTED = auto()  # the student's masks that prompts ask for

    TEACHER = TEACHERS_ANSWERS | FEATURES | PIXELS | MAPS | ENCODINGS
    ON_IMAGES = LABELS | ENCODINGS | PROMPTED  # what there is where prompts on images are learnt
    ON_CLIPS = LABELS | ANSWERS | TEACHER


@dataclass
class Loss:
    """One loss: its weight (0: not used) and settings, which are the keys recipe.<name>.<setting>.

    A subclass is a dataclass, says what it `reads` and computes its `sums`; `register` gives it its name.
    teacher_map: of a loss on attention maps, which of the teacher's it compares, counted from 1; None: the last.
    """

    weight: float = 0.0

    name: ClassVar[str]
    reads: ClassVar[Reads]
    teacher_map: ClassVar[int | None] = None

    def sums(self, seen: Seen) -> Sums:
        """Sum of the loss over what it is a mean of (pixels, objects, ...), a scalar, and the number of these."""
        raise NotImplementedError

    def projector(self, student_width: int, teacher_width: int) -> "nn.Module | None":
        """What brings the student's features (D channels) to the teacher's; it trains along and is then dropped."""
        return None

    @property
    def parts(self) -> "list[Loss]":
        """What a training's curve shows of it: itself, where it does not consist of several."""
        return [self]


_TABLE: dict[str, type[Loss]] = {}


def register(name: str) -> Callable[[type[Loss]], type[Loss]]:
    """Decorates a subclass of `Loss`: recipes then have the keys recipe.<name>.<setting>."""

    def enter(kind: type[Loss]) -> type[Loss]:
        kind.name = name
        _TABLE[name] = kind
        return kind

    return enter


def table() -> dict[str, type[Loss]]:
    """All losses by name, in the order in which they are computed."""
    return dict(_TABLE)


def counted(values: "Tensor", mask: "Tensor | None" = None) -> Sums:
    """The sum and number of values, or of those that the bool mask of their shape keeps."""
    return (values.sum(), values.numel()) if mask is None else (values.where(mask, 0).sum(), mask.sum())


def weighed(mean: "Tensor", count: "Tensor | int") -> Sums:
    """The sum of `count` things whose mean is given."""
    return count * mean, count
