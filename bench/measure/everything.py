"""All that job=measure finds out about one method."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import nn

import methods
from bench.measure.complexity import complexity, frame_gmacs, parameter_count
from bench.measure.conditions import Conditions, autocast, precision_name, prepare
from bench.measure.gpu import watch_gpu
from bench.measure.growth import core_sweep
from bench.measure.load import Quiet
from bench.measure.memory import measure_memory
from bench.measure.operators import operators
from bench.measure.protocols import PROTOCOLS, milliseconds_by_step
from bench.measure.timing import Limits
from bench.system.errors import first_line
from bench.system.workers import threads
from methods.interface import Stepped

PARTS = ("operations", "memory", *PROTOCOLS, "stages", "sweep")


def measure_method(
    name: str, options: dict, conditions: Conditions, device: str, begin: Callable[[str], object]
) -> dict:
    """Everything about the method with random weights, as JSON can hold it; a failure ends it early.

    `begin` is called with each of PARTS before it is measured. "status" is "ok" or "failed: <why>"; what was
    measured before a failure is there. "busy" names the parts that were timed while others were at work. Raises
    ConfigError and MethodError for wrong settings and options.
    """
    found: dict = {"status": "ok"}
    with threads(conditions.threads):
        quiet = Quiet(torch.get_num_threads())

        def measure() -> None:
            try:
                for part, measured in _parts(name, options, conditions, device, begin, quiet):
                    found[part] = measured
            except (RuntimeError, MemoryError, TypeError, OSError) as error:  # as OutOfMemoryError is
                found["status"] = f"failed: {first_line(error)}"

        _, load = quiet.watched(measure)
    return found | {"load": asdict(load), "warnings": load.warnings() + found.pop("gpu_warnings", [])}


def _parts(
    name: str, options: dict, conditions: Conditions, device: str, begin: Callable[[str], object], quiet: Quiet
):
    """(key, what was measured) of one part after another."""
    method = prepare(_create(name, options), conditions, device)
    scene = conditions.scene(device)

    begin("operations")
    if isinstance(method, nn.Module):
        yield "parameters", asdict(parameter_count(_create(name, options)))
    if isinstance(method, Stepped):
        yield "complexity", asdict(complexity(method, scene))
        yield "frame_gmacs", frame_gmacs(method, scene, conditions.object_counts)
        yield "operators", asdict(operators(method, scene))
    with autocast(conditions, device):
        yield "precision", precision_name(method, torch.device(device))
        begin("memory")
        yield "memory_mb_peak", measure_memory(method, scene)

        method = prepare(method, conditions, device, compiled=True)
        limits = Limits(max_seconds=conditions.max_seconds)
        done: dict = {}
        slow: dict[str, None] = {}
        busy: list[str] = []

        def timed(part: str, work: Callable[[], Any]) -> Any:
            measured, disturbed = quiet.timed(work)
            busy.extend([part] if disturbed else [])
            return measured

        yield "busy", busy
        for protocol in conditions.protocols:
            begin(protocol)
            with watch_gpu(device) as gpu:
                scenery = conditions.scene(device, protocol)
                timing = timed(protocol, partial(PROTOCOLS[protocol], method, scenery, limits))
            done[protocol] = timing and asdict(timing) | gpu.facts(timing.fps)
            yield "protocols", done
            slow |= dict.fromkeys(gpu.warnings())
            yield "gpu_warnings", list(slow)
        begin("stages")
        if "core" in conditions.protocols:
            yield "stage_ms", timed("stages", lambda: milliseconds_by_step(method, scene, limits))
        begin("sweep")
        if conditions.lengths and conditions.object_counts:
            counts = conditions.lengths, conditions.object_counts
            yield "sweep", timed("sweep", lambda: core_sweep(method, scene, *counts))


def _create(name: str, options: dict) -> Any:
    """The method with the same random weights always."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return methods.create(name, **options)
