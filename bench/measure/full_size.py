"""Cost of a network at its published size: each figure is measured once a machine and kept in a file."""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

import methods
from bench.measure.complexity import complexity, networks, parameters, step_gmacs
from bench.measure.growth import growth as measure_growth
from bench.measure.load import Quiet
from bench.measure.memory import measure_memory
from bench.measure.protocols import milliseconds_by_step, step
from bench.measure.scene import Scene, frozen_copy
from bench.plan.cells import Network, content_hash, identity, name_for_files
from bench.system.environment import describe_environment
from bench.system.files import read_json, write_json
from bench.system.locks import alone
from bench.system.progress import tracked
from methods import outside
from methods.interface import Method, Stepped

LOOK = 0.25  # seconds, to see whether what was disturbed can be measured again
FOUND = dict[str, float | str | None]  # what the file of a network holds
# Options that make a network smaller than the published one
SIZES = {"width", "encoder_width", "depth", "image_size", "decoder_channels"}


def full_size(network: Network, runs: Path, device: str, fields: list[str] | None = None) -> dict[str, float | str]:
    """The `_full` fields of a record: full width, 480x864, one object, memory in its steady state.

    fields: keys of MEASURES, by default VIDEO; `growth_full`, the cost after longer and longer videos, may take two
    minutes.
    What the file of an earlier run lacks is measured and added to it. Others' code is measured as it was built;
    where it fails at this size, the fields from there on are left out with a warning.
    """
    name, wanted = network.method, wanted_fields(network, fields or VIDEO)
    options = {key: value for key, value in network.built_with.items() if key not in SIZES}
    others = methods.entry(name).others
    found: dict[str, float | str] = {}
    for part in [[field] for field in wanted] if others else [wanted] if wanted else []:
        try:
            found = measured(name, options, part, runs, device)
        except outside.FOREIGN as error:
            if not others:
                raise
            reason = outside.describe_failure(error, name)
            warnings.warn(f"costs of a frame of 480x864 are left out: {reason}", stacklevel=2)
            break
    return {field: value for field, value in found.items() if field in wanted or field != "growth_full"}


def wanted_fields(network: Network, fields: list[str]) -> list[str]:
    """Those of the fields that this network has."""
    name = network.method
    costs = not outside.is_masks(name) and (methods.entry(name).others or methods.entry(name).needs_weights)
    return fields if costs else []


def measured(
    name: str, options: dict[str, Any], wanted: list[str], runs: Path, device: str
) -> dict[str, float | str]:
    """All that the file of a method with these options holds, once the `wanted` keys of MEASURES are in it.

    "busy" names the times, as JSON, that were taken while others were at work. A later process takes these again
    where it finds the machine quiet.
    """
    environment = describe_environment(device)
    key = content_hash([identity(name), options, environment["device"], environment["versions"]])
    path = runs / "measured" / f"{name_for_files(name)}-{key}.json"
    name_shown = outside.short_name(name)
    again = _taken_again(path)
    if set(wanted) <= (found := read_json(path, FOUND) or {}).keys() - again:
        return found
    with alone(path.with_suffix(".lock"), f"measuring {name_shown}"):
        found = read_json(path, FOUND) or {}
        missing = [field for field in wanted if field not in found or field in again]
        quiet = Quiet(torch.get_num_threads())
        method, scene = methods.create(name, **options), Scene(device=device)
        for field in tracked(missing, len(missing), stage="measure", what=name_shown, unit="figures"):
            measure = partial(MEASURES[field], method, scene)
            values, disturbed = quiet.timed(measure) if field in TIMES else (measure(), False)
            busy = busy_fields(found) - {field} | ({field} if disturbed else set())
            found = {name: value for name, value in (found | values).items() if name != "busy"}
            found |= named_busy(busy) if busy else {}
            write_json(path, found)
            again.discard(field)
    return found


def busy_fields(found: Mapping[str, Any]) -> set[str]:
    """What was measured while others were at work, of a file of `measured` or the fields of a record."""
    return set(json.loads(found.get("busy") or "[]"))


def named_busy(fields: set[str]) -> dict[str, Any]:
    """The field that `busy_fields` reads."""
    return {"busy": json.dumps(sorted(fields)) if fields else ""}


@cache
def _taken_again(path: Path) -> set[str]:
    """The times of a file that this process takes again: asked once, so that all rows of a table have the same."""
    busy = busy_fields(read_json(path, FOUND) or {})
    return busy if busy and Quiet(1, patience=LOOK).becomes_quiet() else set()


def _complexity(method: Method, scene: Scene) -> dict[str, Any]:
    if not isinstance(method, Stepped):
        return {"params_m_full": parameters(networks(method)) / 1e6, "gmacs_full": step_gmacs(method, scene)}
    cost = asdict(complexity(method, scene))
    return {f"{key}_full": cost[key] for key in ("params_m", "gmacs", "gmacs_fvcore", "gmacs_thop")}


# A field that tells whether the measurement was made -> the measurement, which gives that field and maybe others.
MEASURES: dict[str, Callable[[Any, Scene], dict[str, Any]]] = {
    "params_m_full": _complexity,
    "latency_ms_median_full": lambda method, scene: {"latency_ms_median_full": step(method, scene).ms_median},
    "memory_mb_peak_full": lambda method, scene: {"memory_mb_peak_full": measure_memory(method, scene)},
    "growth_full": lambda method, scene: {"growth_full": json.dumps(measure_growth(method, scene))},
    "stage_ms_full": lambda method, scene: {
        "stage_ms_full": json.dumps(milliseconds_by_step(frozen_copy(method, scene.device), scene))
    },
}
VIDEO = ["params_m_full", "latency_ms_median_full", "memory_mb_peak_full"]
TIMES = {"latency_ms_median_full", "growth_full", "stage_ms_full"}  # of these, those that others disturb
PROMPTED = ["params_m_full", "stage_ms_full"]
