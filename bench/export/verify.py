"""Whether exported files do what the method does, frame after frame."""

from dataclasses import dataclass

import torch

from bench.export.formats import Run
from bench.export.steps import Program, StaticSteps

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Verification:
    """max_abs_error: the largest difference of a probability to `method.step`, over `frames` frames of noise.

    memory_effect: by how much the last frame's answer changes when nothing but the annotated frame was
    remembered, None if nothing else ever is. Below the tolerance the error says nothing about the memory.
    """

    frames: int
    max_abs_error: float
    memory_effect: float | None
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
    memory = at_first = run["start"](frames[0], mask)
    errors = []
    for index, frame in enumerate(frames[1:], 1):
        name = "step" if every and index % every == 0 else "segment"
        answer, *after = run[name](frame, *memory)
        memory = after or memory
        errors.append((answer - method.step(frame)).abs().max())
    effect = float((answer - run[name](frame, *at_first)[0]).abs().max()) if every else None
    return Verification(length, float(torch.stack(errors).max()), effect)
