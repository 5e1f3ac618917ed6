"""What the counters of multiply-adds leave out: the operators of a frame for which they have no formula."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from bench.measure.complexity import fvcore_analysis, networks
from bench.measure.scene import Scene, frame_steps, frozen_copy
from methods.interface import Stepped

ALLOCATIONS = {"empty", "empty_strided", "empty_like", "_unsafe_view", "detach"}  # make room, compute nothing


@dataclass(frozen=True)
class Operators:
    """Operators of one frame that is read and written to memory, by what the counters make of them.

    torch_unseen: executed operators without a formula -> (calls, elements of their results). Views and
    allocations, which compute nothing, are left out.
    fvcore_counted: GMACs by operator. fvcore_unseen: calls by operator.
    thop_unseen: classes of the innermost modules that have no rule. What is called as a function rather than as
    a module it does not see at all, matrix products excepted.
    """

    torch_unseen: dict[str, tuple[int, int]]
    fvcore_counted: dict[str, float]
    fvcore_unseen: dict[str, int]
    thop_unseen: list[str]


@torch.no_grad()
def operators(method: Stepped, scene: Scene) -> Operators:
    """Find what is not counted. fvcore computes the frame on the method's device; the method is left as it was."""
    counted: Counter[str] = Counter()
    unseen: Counter[str] = Counter()
    for step in frame_steps(frozen_copy(method), scene):
        analysis = fvcore_analysis(step.module, *step.inputs.values())
        counted.update(analysis.by_operator())
        unseen.update(analysis.unsupported_ops())
    meta = frame_steps(frozen_copy(method, "meta"), scene)
    return Operators(
        torch_unseen=unseen_by_torch(lambda: [step.run(step.inputs) for step in meta]),
        fvcore_counted={name: macs / 1e9 for name, macs in counted.most_common()},
        fvcore_unseen={name.removeprefix("aten::"): calls for name, calls in unseen.most_common()},
        thop_unseen=unseen_by_thop(networks(method)),
    )


def unseen_by_torch(compute: Callable[[], object]) -> dict[str, tuple[int, int]]:
    """Operators that `compute()` runs and FlopCounterMode has no formula for -> (calls, elements of the results).

    By falling number of elements. In-place variants count with the others.
    """
    with _Executed() as executed:
        compute()
    return {name: (executed.calls[name], size) for name, size in executed.elements.most_common()}


def unseen_by_thop(module: nn.Module) -> list[str]:
    """Classes of innermost modules without a rule in thop, sorted."""
    rules = import_module("thop.profile").register_hooks  # the package's attribute of that name is a function
    leaves = {type(child) for child in module.modules() if not list(child.children())}
    return sorted(kind.__name__ for kind in leaves if not rules.keys() & set(kind.__mro__))


class _Executed(TorchDispatchMode):
    """Notes operators without a formula, as the dispatcher sees them: decomposed to what really runs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.elements: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.removesuffix("_")
        if not (func.overloadpacket in flop_registry or func.is_view or name in ALLOCATIONS):
            first = result[0] if isinstance(result, tuple | list) and result else result
            self.calls[name] += 1
            self.elements[name] += first.numel() if isinstance(first, Tensor) else 0
        return result
