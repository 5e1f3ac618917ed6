"""Cost of a network at its published size: each figure is measured once a machine and kept in a file."""

import json
import warnings
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

import methods
from bench.measure.complexity import complexity, step_gmacs
from bench.measure.growth import growth as measure_growth
from bench.measure.memory import measure_memory
from bench.measure.parameters import method_parameters
from bench.measure.protocols import milliseconds_by_step, step
from bench.measure.scene import Scene, frozen_copy
from bench.plan.cells import Network, content_hash, identity, name_for_files
from bench.system.environment import describe_environment
from bench.system.files import read_json, write_json
from bench.system.locks import alone
from methods import outside
from methods.interface import Stepped

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
        except Exception as error:
            if not others:
                raise
            reason = outside.describe_failure(error, name)
            warnings.warn(f"costs of a frame of 480x864 are left out: {reason}", stacklevel=2)
            break
    return {field: value for field, value in found.items() if field in wanted or field != "growth_full"}


def wanted_fields(network: Network, fields: list[str]) -> list[str]:
    """Those of the fields that this network has."""
    name = network.method
    if outside.is_masks(name) or not (methods.entry(name).others or methods.entry(name).needs_weights):
        return []
    return fields


def measured(
    name: str, options: dict[str, Any], wanted: list[str], runs: Path, device: str
) -> dict[str, float | str]:
    """All that the file of a method with these options holds, once the `wanted` keys of MEASURES are in it."""
    environment = describe_environment(device)
    key = content_hash([identity(name), options, environment["device"], environment["versions"]])
    path = runs / "measured" / f"{name_for_files(name)}-{key}.json"
    name_shown = outside.short_name(name)
    if set(wanted) <= (found := read_json(path, dict) or {}).keys():
        return found
    with alone(path.with_suffix(".lock"), f"measuring {name_shown}"):
        found = read_json(path, dict) or {}
        missing = [field for field in wanted if field not in found]
        method = methods.create(name, **options)
        for field in tqdm(missing, f"measure {name_shown}", leave=False, mininterval=2, delay=2):
            found |= MEASURES[field](method, device)
            write_json(path, found)
    return found


def _complexity(method: nn.Module, device: str) -> dict[str, float | None]:
    if not isinstance(method, Stepped):
        params = method_parameters(method) / 1e6
        return {"params_m_full": params, "gmacs_full": step_gmacs(method, Scene(device=device))}
    cost = complexity(method)
    return {
        "params_m_full": cost.params_m,
        "gmacs_full": cost.gmacs,
        "gmacs_fvcore_full": cost.gmacs_fvcore,
        "gmacs_thop_full": cost.gmacs_thop,
    }


def _latency(method: nn.Module, device: str) -> dict[str, float]:
    return {"latency_ms_median_full": step(method, Scene(device=device)).ms_median}


def _memory(method: nn.Module, device: str) -> dict[str, float]:
    return {"memory_mb_peak_full": measure_memory(method, Scene(device=device))}


def _growth(method: nn.Module, device: str) -> dict[str, str]:
    return {"growth_full": json.dumps(measure_growth(method, Scene(device=device)))}


def _steps(method: nn.Module, device: str) -> dict[str, str]:
    times = milliseconds_by_step(frozen_copy(method, device), Scene(device=device))
    return {"stage_ms_full": json.dumps(times)}


# A field that tells whether the measurement was made -> the measurement.
MEASURES = {
    "params_m_full": _complexity,
    "latency_ms_median_full": _latency,
    "memory_mb_peak_full": _memory,
    "growth_full": _growth,
    "stage_ms_full": _steps,
}
VIDEO = ["params_m_full", "latency_ms_median_full", "memory_mb_peak_full"]
PROMPTED = ["params_m_full", "stage_ms_full"]
