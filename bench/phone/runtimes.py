"""The runtimes for phones by name."""

from bench.phone.executorch import EXECUTORCH
from bench.phone.litert import LITERT
from bench.phone.runtime import Runtime
from bench.system.errors import ConfigError

RUNTIMES = {"executorch": EXECUTORCH, "litert": LITERT}


def find_runtime(name: str) -> Runtime:
    """The runtime `phone.runtime=name`. Raises ConfigError for an unknown one."""
    if name not in RUNTIMES:
        raise ConfigError(f"phone.runtime={name}: choose one of {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
