"""Model soups: averages of the weights of networks of one architecture."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from methods.errors import MethodError

State = dict[str, Tensor]


def average(states: Sequence[State]) -> State:
    """Mean of state dicts, summed in float64; what is not floating point (counters) is the first one's.

    Raises MethodError when there is none, or when their keys or shapes differ.
    """
    if not states:
        raise MethodError("a soup needs at least one network")
    first = states[0]
    for state in states[1:]:
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in first.items()}:
            raise MethodError("networks of different architecture have no average: their weights do not match")
    mean = {key: value.clone() for key, value in first.items()}
    for key, value in first.items():
        if value.is_floating_point():
            total = reduce(torch.add, (state[key].double() for state in states))
            mean[key] = (total / len(states)).to(value.dtype)
    return mean


def greedy(states: Sequence[State], score: Callable[[State], float]) -> tuple[State, list[int]]:
    """Greedy soup (Wortsman et al., ICML 2022, Recipe 1): best first, each kept if the score does not fall.

    Returns the soup and the positions of its members in `states`, best first. `score` must come from held-out
    training data: a soup chosen on the data it is evaluated on is evaluated too well.
    """
    alone = [score(state) for state in states]
    order = sorted(range(len(states)), key=lambda i: -alone[i])
    members, best = [order[0]], alone[order[0]]
    for candidate in order[1:]:
        found = score(average([states[i] for i in (*members, candidate)]))
        if found >= best:
            members, best = [*members, candidate], found
    return average([states[i] for i in members]), members
