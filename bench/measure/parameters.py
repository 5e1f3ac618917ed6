"""How many numbers a network holds, and where."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from bench.measure.complexity import networks, parameters
from methods.outside import MaskFolder


@dataclass(frozen=True)
class ParameterCount:
    """How many numbers a network holds: parameters, each once, and apart from them its buffers.

    trainable: parameters that need a gradient. modules: parameters of each top-level module, by its name; those
    that the network holds itself are "(own)". A parameter that two modules share counts in the first.
    buffers: numbers that are saved but not learnt, as the statistics of batch normalisation.
    """

    total: int
    trainable: int
    modules: dict[str, int]
    buffers: int


def method_parameters(method: object) -> int | None:
    """Parameters of a method, of one that is no network those of its attributes; None for a folder of masks."""
    return None if isinstance(method, MaskFolder) else parameters(networks(method))


def parameter_count(module: nn.Module) -> ParameterCount:
    """Parameters of the network and of its top-level modules; its buffers apart."""
    seen: set[int] = set()

    def new(found: Iterable[nn.Parameter]) -> int:
        fresh = [p for p in found if id(p) not in seen]
        seen.update(map(id, fresh))
        return sum(p.numel() for p in fresh)

    modules = {name: new(child.parameters()) for name, child in module.named_children()}
    if own := new(module.parameters(recurse=False)):
        modules["(own)"] = own
    return ParameterCount(
        total=parameters(module),
        trainable=sum(p.numel() for p in module.parameters() if p.requires_grad),
        modules=modules,
        buffers=sum(buffer.numel() for buffer in module.buffers()),
    )
