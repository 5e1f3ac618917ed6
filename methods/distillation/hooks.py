"""Look inside a network while it runs, without changing it."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches

from torch import Tensor, nn

from methods.errors import MethodError


@contextmanager
def attention_maps(
    model: nn.Module, names: Iterable[str], detach: bool = False
) -> Iterator[dict[str, list[Tensor]]]:
    """Collect what the submodules `names` return while the block runs: name -> outputs in order of their calls.

    A module that runs once a frame gives one output a frame. The outputs are the very tensors (or tuples of
    tensors), not copies: gradients flow through them, unless `detach` cuts them off, as for a teacher. The
    hooks are gone after the block, also after an exception; the dict stays. Raises MethodError for a name that
    `model` does not have, before any hook is set.
    """
    modules = dict(model.named_modules())
    names = list(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in names:
        if name not in modules:
            close = get_close_matches(name, modules, n=3) or [key for key in modules if key][:3]
            raise MethodError(f"{type(model).__name__} has no module '{name}'; did you mean {', '.join(close)}?")
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    with ExitStack() as hooks:
        for name in names:

            def keep(_module, _inputs, output, into=found[name]) -> None:
                into.append(_detached(output) if detach else output)

            hooks.enter_context(modules[name].register_forward_hook(keep))
        yield found


def _detached(output):
    if isinstance(output, Tensor):
        return output.detach()
    return tuple(map(_detached, output)) if isinstance(output, tuple | list) else output
