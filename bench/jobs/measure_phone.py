"""job=measure target=phone: how long the stages of a frame take on an attached phone."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.jobs.results import results_folder, tell
from bench.measure.conditions import Conditions
from bench.measure.results import warn_of, write_results
from bench.measure.scene import Scene
from bench.phone.adb import LinkLost, PhoneError, connect
from bench.phone.cargo import find_runtime, make_cargo
from bench.phone.process import Runner, install
from bench.phone.session import SUSTAINED_RUNS, Protocol, Session, measure
from bench.phone.state import read_state
from bench.phone.summary import records, summarise
from bench.plan.cells import Network
from bench.plan.compose import to_dataclass
from bench.system.environment import git_commit
from bench.system.errors import ConfigError
from bench.system.files import full_path
from methods.errors import MethodError

PLAIN = {"precision": "fp32", "channels_last": False, "compile": False, "threads": None}  # all that a phone can do


def run(config: DictConfig, settings: Conditions, names: list[str], runs: Path) -> int:
    """Measure the methods one after another; the results are written after every process on the phone.

    Writes measure.json and records.jsonl; reports makes the page and the csv of them. The exit code is 1 when a
    row failed. Raises ConfigError for wrong settings and for what is missing on this computer, PhoneError for the
    phone.
    """
    protocol = _protocol(config, settings)
    runtime = find_runtime(protocol.runtime)
    runtime.check(protocol)
    phone = connect(protocol.serial, protocol.adb)
    state = read_state(phone)
    bundle = runtime.bundle(state.abi or "unknown", runs / "phone", protocol)
    runner = install(phone, runtime, bundle, protocol.folder)
    path = full_path(config.weights)
    scene = settings.scene("cpu")
    size = {key: getattr(scene, key) for key in ("height", "width", "objects", "memory_frames")}
    options: Any = OmegaConf.to_container(config.options)
    content: dict[str, Any] = {
        "target": "phone",
        "device": state.model or phone.serial,
        "phone": {"android_version": state.android_version, "abi": state.abi, "libc": bundle.libc},
        "runtime": bundle.name,
        "settings": {**size, "phone": asdict(protocol)},
        "sustained_runs": SUSTAINED_RUNS,
        "size": f"{scene.height}x{scene.width}",
        "options": options,
        "weights": f"weights of {Path(path).name}" if path else "random weights",
        "git_commit": git_commit(),
        "methods": {},
    }
    out = results_folder(config, "measure-phone")
    try:
        for name in names:
            for found in _measured(Network(name, options, path), scene, runner, protocol, runs):
                content["methods"][name] = found
                write_results(content, records(content), out)
    finally:  # a lost link or ^C too leaves what is done
        if content["methods"]:
            tell(out)
    warn_of(content["methods"])
    return 0 if all(found["status"] == "ok" for found in content["methods"].values()) else 1


def _protocol(config: DictConfig, settings: Conditions) -> Protocol:
    for key, only in PLAIN.items():
        if getattr(settings, key) != only:
            advice = "; threads are phone.threads=[...]" if key == "threads" else ""
            raise ConfigError(f"measure.{key} cannot be set with target=phone{advice}")
    protocol = to_dataclass(config.phone, Protocol)
    protocol.check()
    return protocol


def _measured(
    network: Network, scene: Scene, runner: Runner, protocol: Protocol, runs: Path
) -> Iterator[dict[str, Any]]:
    """A method's entry of measure.json, after every process; what it cannot do fails it alone, not the others."""
    name, phone, say = network.method, runner.phone, partial(print, file=sys.stderr)
    session: Session | None = None
    say(f"{name}: exporting for {protocol.runtime}")
    try:
        cargo = make_cargo(network, scene, runs, runner.runtime)
    except (MethodError, ConfigError) as error:
        yield {"status": f"failed: {error}", "warnings": []}
        return
    shares = {stage.name: stage.per_frame for stage in cargo.stages}
    # Serial number and build; over the network, adb's own name for a phone may change.
    identity = f"{phone.prop('ro.serialno') or phone.serial} {phone.prop('ro.build.fingerprint')}"
    try:
        for session in measure(runner, identity, cargo, protocol, runs, say=say):
            say(f"{name}: {len(session.repeats)} of {session.wanted} repeats")
            yield summarise(session, shares)
    except LinkLost as error:
        kept = len(session.repeats) if session else 0
        raise PhoneError(f"{error}; {kept} finished repeats are kept: give the same command again") from None
    if session and summarise(session, shares)["status"] == "ok":
        shutil.rmtree(session.folder, ignore_errors=True)  # the tables hold the repeats now
