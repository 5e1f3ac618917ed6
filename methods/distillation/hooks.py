"""Look inside a network while it runs, without changing it."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches

from torch import Tensor, nn

from methods.errors import MethodError


@contextmanager
def attention_maps(model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, list[Tensor]]]:
    """Collect what the submodules `names` return while the block runs: name -> outputs in order of their calls.

    A module that runs once a frame gives one output a frame. The outputs are the very tensors, not copies:
    gradients flow through them. The hooks are gone after the block, also after an exception; the dict stays.
    Raises MethodError for a name that `model` does not have, before any hook is set.
    """
    modules = dict(model.named_modules())
    found: dict[str, list[Tensor]] = {name: [] for name in names}
    for name in found:
        if name not in modules:
            close = get_close_matches(name, modules, n=3) or [key for key in modules if key][:3]
            raise MethodError(f"{type(model).__name__} has no module '{name}'; did you mean {', '.join(close)}?")
    with ExitStack() as hooks:
        for name, outputs in found.items():
            hook = modules[name].register_forward_hook(lambda _m, _in, out, into=outputs: into.append(out))
            hooks.enter_context(hook)
        yield found
