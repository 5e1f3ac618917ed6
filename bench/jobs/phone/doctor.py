"""job=phone.doctor: what is ready and what is missing to measure on an attached phone."""

from pathlib import Path

from omegaconf import DictConfig

from bench.phone.doctor import MISSING, examine
from bench.phone.runtime import PhoneSettings
from bench.plan.compose import to_dataclass


def run(config: DictConfig, runs: Path) -> int:
    """Print one line for each requirement. The exit code is 0 when everything needed is there."""
    checks = examine(to_dataclass(config.phone, PhoneSettings))
    print("\n".join(f"{check.status:8} {check.name:12} {check.text}" for check in checks))
    return 1 if any(check.status == MISSING for check in checks) else 0
