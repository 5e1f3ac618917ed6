"""Parameters, multiply-adds and latency of a network at its published size, measured once a machine."""

from pathlib import Path

import methods
from bench.environment import describe_environment
from bench.files import read_json, write_json
from bench.measure.complexity import complexity
from bench.measure.latency import measure_latency
from bench.plan import Network, content_hash


def full_size(network: Network, runs: Path, device: str) -> dict[str, float]:
    """The `_full` fields of a record: full width, 480x864, one object, memory in its steady state."""
    if not methods.is_trainable(network.method):
        return {}
    options = {key: value for key, value in network.options.items() if key != "width"}
    environment = describe_environment(device)
    key = content_hash([network.method, options, environment["device"], environment["versions"]])
    path = runs / "measured" / f"{network.method}-{key}.json"
    measured = read_json(path)
    if measured is None:
        method = methods.create(network.method, **options)
        cost = complexity(method)
        latency = measure_latency(method.to(device), device=device)
        measured = {
            "params_m_full": cost.params_m,
            "gmacs_full": cost.gmacs,
            "gmacs_fvcore_full": cost.gmacs_fvcore,
            "gmacs_thop_full": cost.gmacs_thop,
            "latency_ms_median_full": latency.latency_ms_median,
        }
        write_json(path, measured)
    return measured
