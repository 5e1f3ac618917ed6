"""job=check: does a method do what the adapter promises?"""

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from bench.jobs.results import results_folder
from bench.plan.cells import Network, name_for_files
from bench.run.networks import build
from bench.system.environment import pick_device
from bench.system.errors import ConfigError, say
from bench.system.files import full_path, write_json
from methods import outside
from methods.conformance import Outcome, check_all

WORDS = {True: "pass", False: "FAIL", None: "none"}


def run(config: DictConfig, runs: Path) -> int:
    """Print a line for each promise and write check.json; the exit code is 1 when one is not kept."""
    name = config.method
    if outside.is_masks(name):
        raise ConfigError(f"'{name}' has nothing to check: job=evaluate tells what is missing")
    out, device = results_folder(config, f"check-{name_for_files(name)}"), pick_device(config.device)
    options: Any = OmegaConf.to_container(config.options)
    method = build(Network(name, options, full_path(config.weights)), runs, device)
    outcomes = []
    for outcome in check_all(method, device, lambda error: outside.describe_failure(error, name)):
        outcomes.append(outcome)
        say(_line(outcome), sys.stdout)
    failed = sum(outcome.kept is False for outcome in outcomes)
    content = [
        {"promise": o.promise.name, "kept": o.kept, "remark": o.remark, "mend": o.promise.mend} for o in outcomes
    ]
    write_json(out / "check.json", {"method": name, "device": device, "promises": content})
    kept = sum(outcome.kept is True for outcome in outcomes)
    say(f"{outside.label(name)}: {kept} of {kept + failed} promises kept\nresults: {out}", sys.stdout)
    return 1 if failed else 0


def _line(outcome: Outcome) -> str:
    """`pass  shapes         step() answers ...`; of a failure also what was seen and how to mend it."""
    promise, remark = outcome.promise, outcome.remark
    seen = f" ({remark})" if remark and outcome.kept is not False else ""
    text = f"{WORDS[outcome.kept]}  {promise.name:13}  {promise.what}{seen}"
    if outcome.kept is False:
        text += f"\n      {remark.rstrip('.')}; to mend it: {promise.mend}"
    return text
