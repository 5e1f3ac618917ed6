"""Whether exported files do what the method does, frame after frame."""

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.export.formats import Run
from bench.export.steps import Program, StaticSteps

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Verification:
    """max_abs_error: the largest difference of a probability to `method.step`, over `frames` frames of noise.

    memory_effect: by how much the last frame's answer changes when nothing but the annotated frame was
    remembered, None if nothing else ever is. Below the tolerance the error says nothing about the memory.
    ties: pixels, of all frames, that the files give to another object. Where that decides what is remembered, both
    go on with what the method remembers: the smallest difference can decide a tie.
    """

    frames: int
    max_abs_error: float
    memory_effect: float | None
    ties: int
    tolerance: float = TOLERANCE

    @property
    def passed(self) -> bool:
        return self.max_abs_error <= self.tolerance

    @property
    def sees_memory(self) -> bool:
        return self.memory_effect is None or self.memory_effect > self.tolerance


def verify(steps: StaticSteps, programs: list[Program], run: dict[str, Run]) -> Verification:
    """Run the files in `run` and the method beside each other: three frames, or until one has read a write."""
    method, every = steps.method, steps.memory_every
    length = max(3, (every or 0) + 1)
    noise = torch.Generator().manual_seed(1)
    frames = torch.rand(1 + length, 3, *steps.size, generator=noise)
    mask = programs[0].inputs["mask"]
    method.start(frames[0], mask)
    memory = at_first = steps.begun(run["start"](frames[0], mask))
    right = steps.begun(steps.start(frames[0], mask))  # what the method remembers
    errors, ties = [], 0
    for index, frame in enumerate(frames[1:], 1):
        name = "step" if every and index % every == 0 else "segment"
        answer, *after = run[name](frame, *memory)
        expected = method.step(frame)
        errors.append((answer - expected).abs().max())
        differing = int((answer.argmax(0) != expected.argmax(0)).sum())
        memory = _updated(steps, memory, after)
        if steps.remembers_labels:
            right = _updated(steps, right, steps.step(frame, *right)[1:])
            memory = right if differing else memory
        ties += differing
    effect = float((answer - run[name](frame, *at_first)[0]).abs().max()) if every else None
    return Verification(length, float(torch.stack(errors).max()), effect, ties)


def _updated(steps: StaticSteps, memory: tuple[Tensor, ...], changed) -> tuple[Tensor, ...]:
    """The memory after a frame that gave what changed, or nothing."""
    named = dict(zip(steps.changed, changed, strict=True)) if changed else {}
    found = dict(zip(steps.memory, memory, strict=True)) | named
    return tuple(x.contiguous() for x in found.values())
