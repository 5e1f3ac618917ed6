"""job=measure: size, operations and speed of methods on this machine, by named protocols, or on a phone."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import methods
from bench.jobs import measure_phone
from bench.jobs.results import results_folder, tell
from bench.measure.conditions import Conditions, check
from bench.measure.everything import PARTS, measure_method
from bench.measure.full_size import SIZES, named_busy
from bench.measure.protocols import PROTOCOLS
from bench.measure.results import record_of, warn_of, write_results
from bench.plan.compose import to_dataclass
from bench.record import Record
from bench.system.environment import describe_environment, pick_device
from bench.system.errors import ConfigError
from bench.system.progress import track
from bench.system.workers import threads
from bench.tracking.tracker import Tracker
from methods import outside
from methods.errors import MethodError
from methods.steps import STEPS

TITLE = "Speed, size and operations"
TARGETS = ("desktop", "phone")
FULL_SIZE = {"height": 480, "width": 864, "objects": 1, "memory_frames": None}  # of a record's `_full` fields


def run(config: DictConfig, runs: Path) -> int:
    """Measure one method after another, always anew, and write all results after each.

    Writes measure.json (everything) and records.jsonl into the folder of results; reports makes the page, the csv
    and the figure of them. The exit code is 1 when no method succeeded. Raises ConfigError and MethodError for
    wrong settings.
    """
    if config.target not in TARGETS:
        raise ConfigError(f"target={config.target}: choose one of {', '.join(TARGETS)}")
    settings, names = to_dataclass(config.measure, Conditions), wanted(config)
    device = pick_device(config.device)
    check(settings, device)
    if config.target == "phone":
        return measure_phone.run(config, settings, names, runs)
    options: Any = OmegaConf.to_container(config.options)
    out = results_folder(config, "measure")
    with threads(settings.threads):  # whose number the device's name tells
        environment = describe_environment(device)
    content: dict[str, Any] = {
        "settings": asdict(settings),
        "options": options,
        "frames": settings.scene(device).frames,
        "stages": STEPS,
        **environment,
        "methods": {},
    }
    parts = [part for part in PARTS if part not in PROTOCOLS or part in settings.protocols]
    try:
        with track("measure", total=len(names) * len(parts), unit="parts") as bar:
            for number, name in enumerate(names):

                def begin(part: str, name: str = name, first: int = number * len(parts)) -> None:
                    bar.update(first + parts.index(part) - bar.done, f"{name}: {part}")

                content["methods"][name] = _measure(name, options, settings, device, begin)
                write_results(content, _records(content), out)
            bar.update(len(names) * len(parts) - bar.done, "")
        with Tracker(config.tracking_uri, runs, out.name).invocation(TITLE, config, environment, out) as tracker:
            tracker.table = _records(content)
    finally:  # a kill by ^C too leaves the methods that are done
        if content["methods"]:
            tell(out)
    warn_of(content["methods"])
    return 0 if any(one["status"] == "ok" for one in content["methods"].values()) else 1


def wanted(config: DictConfig) -> list[str]:
    """The methods of `method=` or `methods=`, each once; when neither is given, all but the heavy ones."""
    one, several = config.method, config.get("methods")
    if one is not None and several is not None:
        raise ConfigError("give method= or methods=, not both")
    if several is not None and not several:
        raise ConfigError("methods=[]: name at least one, or leave it out for all")
    if one is None and several is None:
        heavy = [name for name in methods.available() if methods.entry(name).heavy]
        print(f"not measured unless named, as they take minutes: {', '.join(heavy)}", file=sys.stderr)
        several = [name for name in methods.available() if name not in heavy]
    names = [one] if one is not None else [several] if isinstance(several, str) else list(several)
    for name in names:
        methods.check_name(str(name))
        if outside.is_masks(str(name)):
            raise ConfigError(f"'{name}' has nothing to measure: masks are there already")
    return list(dict.fromkeys(names))


def _measure(name: str, options: dict, settings: Conditions, device: str, begin) -> dict:
    """One method; an option that it does not have, or a memory that it cannot hold, fails this method alone."""
    try:
        return measure_method(name, options, settings, device, begin)
    except (MethodError, ConfigError) as error:
        return {"status": f"failed: {error}", "warnings": []}
    except outside.FOREIGN as error:
        if not methods.entry(name).others:
            raise
        return {"status": f"failed: {outside.describe_failure(error, name)}", "warnings": []}


def _records(content: dict) -> list[Record]:
    return [_record(name, content) for name in content["methods"]]


def _record(name: str, content: dict) -> Record:
    """The `_full` fields are set when the network and the frame have the published size."""
    settings, found = content["settings"], content["methods"][name]
    cost, timing = found.get("complexity") or {}, (found.get("protocols") or {}).get("frame") or {}
    params = found["parameters"]["total"] / 1e6 if found.get("parameters") else None
    size = {key: settings[key] for key in FULL_SIZE}
    full = {}
    if size == FULL_SIZE and all(content["options"].get(key, 1.0) == 1.0 for key in SIZES):
        full = {"params_m_full": params, "memory_mb_peak_full": found.get("memory_mb_peak")}
        full |= {f"{key}_full": cost.get(key) for key in ("gmacs", "gmacs_fvcore", "gmacs_thop")}
    return record_of(
        name,
        content,
        params_m=params,
        fps=timing.get("fps"),
        latency_ms_median=timing.get("ms_median"),
        **named_busy({"latency_ms_median", "fps"} if "frame" in found.get("busy", ()) else set()),
        precision=found.get("precision") or settings["precision"],
        versions=content["versions"],
        **full,
    )
