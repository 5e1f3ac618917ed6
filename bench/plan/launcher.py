"""What `launcher.*` of the configuration says, checked before anything heavy loads."""

import shutil
from importlib.util import find_spec

from omegaconf import DictConfig

from bench.plan.compose import choices, to_dataclass
from bench.plan.keys import Slurm
from bench.system.errors import ConfigError

INSTALL = ".venv/bin/python -m pip install -e '.[cluster]' -c constraints.txt"
PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "scontrol")
JOBS = ("ablate", "evaluate")  # that run a grid of cells
# Parameters of sbatch on which the suite relies to find its jobs again, or that a key of `launcher` sets.
OURS = {
    "array": "launcher.at_once",
    "time": "launcher.hours",
    "partition": "launcher.partition",
    "account": "launcher.account",
    "cpus-per-task": "launcher.cpus",
    "gpus-per-node": "launcher.gpus",
    "mem": "launcher.memory_gb",
    **dict.fromkeys(("output", "error", "open-mode", "signal", "nodes", "ntasks", "wait", "parsable")),
}


def check_launcher(config: DictConfig) -> None:
    """Raise ConfigError where the configured launcher cannot work: here, for this job or with these settings."""
    name, known = config.launcher.name, choices("launcher")
    if name not in known:
        raise ConfigError(f"unknown launcher.name={name}; known: {', '.join(known)}")
    if name == "local":
        return
    if config.job not in JOBS:
        raise ConfigError(f"launcher=slurm is for job={' and job='.join(JOBS)}, not for job={config.job}")
    if config.ranks not in ("auto", 1):
        raise ConfigError(f"ranks={config.ranks} train on this machine: with launcher=slurm leave ranks out")
    read_settings(config)
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ConfigError(
            f"launcher=slurm needs Slurm, but there is no {', '.join(missing)} on the PATH: start it on a login "
            "node of the cluster, or take launcher=local"
        )
    if find_spec("submitit") is None:
        raise ConfigError(f"launcher=slurm needs submitit: {INSTALL}")


def read_settings(config: DictConfig) -> Slurm:
    """The settings of launcher=slurm; ConfigError for a parameter of sbatch that the suite sets."""
    settings = to_dataclass(config.launcher, Slurm)
    for key in settings.sbatch:
        name = key.replace("_", "-")
        if name in OURS:
            instead = f"set {OURS[name]} instead" if OURS[name] else "the suite sets it itself"
            raise ConfigError(f"launcher.sbatch.{key} cannot be given: {instead}")
    return settings
