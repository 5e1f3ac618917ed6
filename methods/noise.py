"""Random numbers of a batch of clips, of which a process may have a part."""

from collections.abc import Sequence

import torch
from torch import Tensor


class PartGenerator(torch.Generator):
    """A generator for one of `parts` equal, consecutive parts of a batch.

    `rand` and `permutations` draw from it for the whole batch and give what is this part's, so that a part gets
    the numbers that it would get inside the batch. By default the part is the whole.
    """

    part, parts = 0, 1


def rand(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """`torch.rand`; the first axis counts what the batch does, or a multiple of it in the same order."""
    part, parts = _part(generator)
    return torch.rand(shape[0] * parts, *shape[1:], generator=generator).chunk(parts)[part]


def permutations(count: int, length: int, generator: torch.Generator | None) -> Tensor:
    """A permutation of 0..length-1 for each of the part's `count` clips -> int64 (count, length)."""
    part, parts = _part(generator)
    drawn = [torch.randperm(length, generator=generator) for _ in range(count * parts)]
    return torch.stack(drawn[part * count : (part + 1) * count])


def _part(generator: torch.Generator | None) -> tuple[int, int]:
    return (generator.part, generator.parts) if isinstance(generator, PartGenerator) else (0, 1)
