"""The runtimes for phones by name."""

from bench.errors import ConfigError
from bench.measure.phone.executorch import EXECUTORCH
from bench.measure.phone.litert import LITERT
from bench.measure.phone.runtime import Runtime

RUNTIMES = {"executorch": EXECUTORCH, "litert": LITERT}


def find_runtime(name: str) -> Runtime:
    """The runtime `phone.runtime=name`. Raises ConfigError for an unknown one."""
    if name not in RUNTIMES:
        raise ConfigError(f"phone.runtime={name}: choose one of {', '.join(RUNTIMES)}")
    return RUNTIMES[name]
