"""What a loss is, and the table of them all. Nothing here or beside it loads torch before a loss is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, dataclass_transform

from bench.losses.pixels import Sampling, sampled_pixels
from bench.system.choices import number

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Sums = tuple["Tensor", "Tensor | int"]
UNREAD: Any = None  # stands where no loss reads


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


class Prompted(NamedTuple):
    """A student's M answers to each of P prompts on B images, and what they should be.

    logits: (B, P, M, h, w); scores: (B, P, M), its guess of their IoU. target: bool (B, P, 1, h, w); valid: bool
    (B, 1, 1, h, w), the pixels that are not padding.
    """

    logits: Tensor
    scores: Tensor
    target: Tensor
    valid: Tensor


@dataclass
class Seen:
    """What is there for the losses; each field only where one of them says that it `reads` it.

    student, teacher: a `Rollout` of each over a batch of B clips. For losses on encodings what the encoders make:
    a `Query` of all frames, or the embeddings (B, C, h, w) of images.
    target: int64 (B, T - 1, H, W), 0 = background, 1..K the objects' slots: the labels after the first frame.
    generator: a CPU generator seeded alike for every student, so that all draw the same noise.
    projectors: of the losses that have one, by their names. progress: share of the training's `steps` that is
    done, 0..1.
    ranks: the processes that share the batch (bench.train.ranks.Ranks).
    """

    student: Any
    teacher: Any = UNREAD
    target: Tensor = UNREAD
    sampling: Sampling = field(default_factory=Sampling)
    generator: torch.Generator = UNREAD
    projectors: nn.ModuleDict = UNREAD
    progress: float = 1.0
    ranks: Any = UNREAD
    prompted: list[Prompted] = field(default_factory=list)
    steps: int = 1

    @property
    def objects(self) -> int:
        return len(self.student.video)

    @cached_property
    def features(self) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's, float32 (O (T - 1), D, H / 4, W / 4)."""
        student, teacher = (each.embeddings.flatten(0, 1).float() for each in (self.student, self.teacher))
        return student, teacher

    @cached_property
    def pixels(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of n sampled pixels in each of G groups, an object in a frame each, drawn once for all losses.

        int64 (G, n), 1 where a pixel is the object's; the student's and the teacher's features, float32 (G, n, D).
        """
        from methods.distillation.representation import gather_pixels

        before = self.ranks.before(len(self.teacher.video))
        own, index = sampled_pixels(self.sampling, self.teacher, self.target, self.generator, before)
        student, teacher = (gather_pixels(each, index) for each in self.features)
        return own.flatten(1).gather(1, index), student, teacher


@dataclass
class Loss:
    """One loss: its weight (0: not used) and settings, which are the keys recipe.<name>.<setting>.

    A subclass says what it `reads` and computes its `sums`; `register` makes it a dataclass and names it.
    One on attention maps may have a setting teacher_map: which of the teacher's, counted from 1; None: the last.
    """

    weight: float = number(0.0, least=0)

    name: ClassVar[str]
    reads: ClassVar[Reads]

    def sums(self, seen: Seen) -> Sums:
        """Sum of the loss over what it is a mean of (pixels, objects, ...), a scalar, and the number of these."""
        raise NotImplementedError

    def projector(self, student_width: int, teacher_width: int) -> nn.Module | None:
        """What brings the student's features (D channels) to the teacher's; it trains along and is then dropped."""
        return None

    @property
    def on_labels_alone(self) -> bool:
        """Whether it is what a network learns by without a teacher."""
        return Reads.LABELS in self.reads and not self.reads & Reads.TEACHER

    @property
    def parts(self) -> list[Loss]:
        """What a training's curve shows of it: itself, where it does not consist of several."""
        return [self]


class Projected(Loss):
    """A loss that brings the student's features to the teacher's by a linear layer."""

    def projector(self, student_width: int, teacher_width: int) -> nn.Module:
        from torch import nn

        return nn.Linear(student_width, teacher_width)


_TABLE: dict[str, type[Loss]] = {}


@dataclass_transform()
def register(name: str) -> Callable[[type[Loss]], type[Loss]]:
    """Decorates a subclass of `Loss`: recipes then have the keys recipe.<name>.<setting>."""

    def enter(kind: type[Loss]) -> type[Loss]:
        kind.name = name
        _TABLE[name] = dataclass(kind)
        return kind

    return enter


def table() -> dict[str, type[Loss]]:
    """All losses by name, in the order in which they are computed."""
    return dict(_TABLE)


def counted(values: Tensor, mask: Tensor | None = None) -> Sums:
    """The sum and number of values, or of those that the bool mask of their shape keeps."""
    return (values.sum(), values.numel()) if mask is None else (values.where(mask, 0).sum(), mask.sum())


def weighed(mean: Tensor, count: Tensor | int) -> Sums:
    """The sum of `count` things whose mean is given."""
    return count * mean, count
