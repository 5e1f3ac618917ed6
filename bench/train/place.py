"""Which of the processes of a run this one is. No torch: mistakes are told at once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from omegaconf import DictConfig

from bench.system.errors import ConfigError

TRAINING_JOBS = ("ablate", "search")  # what several processes have something to do in


@dataclass(frozen=True)
class Place:
    """Process `rank` of `size`, the `local`-th of its machine; they meet at host:port.

    launcher: what has started them: "torchrun", "srun" or nothing yet.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    launcher: str = ""
    host: str = ""
    port: int = 0


def find_place(config: DictConfig, environment: Mapping[str, str] = os.environ) -> Place:
    """This process's place, by the key `ranks` and the launcher's variables.

    Raises ConfigError for a number of ranks that does not fit these or other keys.
    """
    wanted = config.ranks
    place = launched(environment) or Place(size=1 if wanted == "auto" else wanted)
    if 1 in (wanted, place.size):
        return Place()
    if config.job not in TRAINING_JOBS or config.launcher.name != "local":
        return Place(place.rank)
    if wanted not in ("auto", place.size):
        raise ConfigError(
            f"ranks={wanted}, but {place.launcher} started {place.size} processes: leave ranks out (ranks=1 makes "
            f"them runs that know nothing of each other)"
        )
    for key in ("processes", "workers"):
        if config.get(key) not in (None, "auto", 1):
            raise ConfigError(f"{key}={config[key]} beside {place.size} ranks: set {key}=1, or ranks=1")
    if ":" in config.device:
        raise ConfigError(f"device={config.device} is one, for {place.size} ranks: set device=cuda, or ranks=1")
    return place


def launched(environment: Mapping[str, str] = os.environ) -> Place | None:
    """Where torchrun or srun has put this process; None when neither started it."""
    if "TORCHELASTIC_RUN_ID" in environment:
        rank, size, local = (int(environment[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        return Place(rank, size, local, "torchrun", environment["MASTER_ADDR"], int(environment["MASTER_PORT"]))
    # A variable of srun alone: the batch script that calls it has SLURM_NTASKS, too.
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) == 1:
        return None
    names = ("PROCID", "STEP_NUM_TASKS", "LOCALID", "JOB_ID", "STEP_ID")
    rank, size, local, job, step = (int(environment[f"SLURM_{name}"]) for name in names)
    host = environment.get("MASTER_ADDR") or first_host(environment["SLURM_STEP_NODELIST"])
    port = int(environment.get("MASTER_PORT") or 10000 + (job + 997 * step) % 20000)
    return Place(rank, size, local, "srun", host, port)


def first_host(nodes: str) -> str:
    """The first of a list of hosts as Slurm writes it: `gpu[03-05,9],login` -> `gpu03`."""
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodes).partition(",")[0]
