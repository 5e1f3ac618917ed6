"""A Slurm of a test's own: one node, in a temporary folder, on free ports."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
CPUS = 4  # more than the machine may have: jobs of tests are small
PATIENCE = 60  # seconds; only a failing test waits that long
# Jobs of `low` make room for those of `high`, as on clusters where some pay: they are signalled, then requeued.
CONFIG = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=15
MailProg=/bin/true
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=1000
PartitionName=low Nodes={host} Default=YES PriorityTier=1 GraceTime=15
PartitionName=high Nodes={host} PriorityTier=2
"""


@contextmanager
def slurm() -> Iterator[Path]:
    """A running Slurm; yields its configuration file, for the variable SLURM_CONF.

    Skips without the programs (apt-get install slurm-wlm munge) or root, which its node needs; with
    VOS_BENCH_NEEDS_SLURM=1 that is a failure.
    """
    missing = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
    reason = f"not installed: {', '.join(missing)}" if missing else "not root" if os.geteuid() else None
    if reason:
        (pytest.fail if os.environ.get("VOS_BENCH_NEEDS_SLURM") == "1" else pytest.skip)(f"Slurm: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short, as paths of sockets have to be
    folder.chmod(0o755)
    config = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    config.write_text(CONFIG.format(folder=folder, host=host, ports=_free_ports(2), cpus=CPUS))
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    daemons: list[subprocess.Popen] = []
    try:
        for command in (["munged", "--foreground", *_munge(folder)], ["slurmctld", "-D", "-c"], ["slurmd", "-D"]):
            daemons.append(_start(command, folder, config))
        _wait_until_idle(folder, config)
        yield config
    finally:
        for _ in range(5 * PATIENCE):  # what outlives its daemons, nobody ends
            _ask(config, "scancel", "--signal=KILL", "--full", f"--user={os.getuid()}")
            if not _ask(config, "squeue", "--noheader"):
                break
            time.sleep(0.2)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _munge(folder: Path) -> list[str]:
    files = ("key", "pid", "seed", "log")
    return [*(f"--{kind}-file={folder}/munge.{kind}" for kind in files), f"--socket={folder}/munge.socket"]


def _start(command: list[str], folder: Path, config: Path) -> subprocess.Popen:
    environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(config)}
    with (folder / f"{command[0]}.out").open("w") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
        )


def _wait_until_idle(folder: Path, config: Path) -> None:
    for _ in range(5 * PATIENCE):
        if _ask(config, "sinfo", "--noheader", "--format=%T", "--partition=low") == "idle":
            return
        time.sleep(0.2)
    pytest.fail("Slurm has not started:\n" + "\n".join(path.read_text() for path in folder.glob("*.out")))


def _ask(config: Path, *command: str) -> str:
    environment = {**os.environ, "SLURM_CONF": str(config)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False)
    return done.stdout.strip()


def _path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/local/sbin", "/usr/sbin", "/sbin"])


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports
