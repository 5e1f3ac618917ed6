"""What the losses see of one step: answers of the student and of the teacher, labels, sampled pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.losses.pixels import Sampling, sampled_pixels

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class Pixels(NamedTuple):
    """Features float32 (G, n, D) of n sampled pixels in each of G groups, an object in a frame each.

    kinds: int64 (G, n), 1 where a pixel is the object's.
    """

    kinds: Tensor
    student: Tensor
    teacher: Tensor


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
    projectors: of the losses that have one, by their names. progress: share of the training that is done, 0..1.
    rows, before: of a batch that several processes share, the rows (n, D) of all of them, and how many things
    those before this one have, which itself has so many.
    """

    student: Any
    teacher: Any = None
    target: Tensor | None = None
    sampling: Sampling = field(default_factory=Sampling)
    generator: torch.Generator | None = None
    projectors: nn.ModuleDict | None = None
    progress: float = 1.0
    prompted: list[Prompted] = field(default_factory=list)
    rows: Callable[[Tensor], Tensor] = lambda own: own
    before: Callable[[int], int] = lambda _: 0

    @property
    def objects(self) -> int:
        return len(self.student.video)

    @cached_property
    def features(self) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's, float32 (O (T - 1), D, H / 4, W / 4)."""
        return tuple(each.embeddings.flatten(0, 1).float() for each in (self.student, self.teacher))

    @cached_property
    def pixels(self) -> Pixels:
        """Drawn once for all losses that read them."""
        from methods.distillation.representation import gather_pixels

        before = self.before(len(self.teacher.video))
        own, index = sampled_pixels(self.sampling, self.teacher, self.target, self.generator, before)
        of_student, of_teacher = (gather_pixels(each, index) for each in self.features)
        return Pixels(own.flatten(1).gather(1, index), of_student, of_teacher)
