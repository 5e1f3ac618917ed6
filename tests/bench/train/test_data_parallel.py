"""Several processes that train one network reach what one does."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import faults
import pytest
import torch
from joint_training import all_of_it, first_steps, in_two_processes
from omegaconf import OmegaConf

from bench.losses.attention import Attention, AttentionTransfer
from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.dist import Inter, Intra
from bench.losses.hint import Hint
from bench.losses.itrd import Correlation, MutualInformation
from bench.losses.logits import Logits
from bench.losses.masks import Dice, Jaccard
from bench.losses.pefd import ProjectorEnsemble
from bench.losses.pixels import Sampling
from bench.losses.representation import Representation
from bench.plan.recipe import Recipe
from bench.system.errors import ConfigError
from bench.train.place import Place, find_place, first_host
from bench.train.ranks import ALONE
from methods.checkpoint import read_file
from reports.__main__ import main as report

R18, STCN = ("mobilevos_r18", {"width": 0.25}), ("stcn", {"width": 0.125})
CASES = {  # every loss, every sampler of pixels, every kind of norm and of noise
    "hard pixels, means over objects and clips": (
        R18,
        STCN,
        Recipe.of(
            PolyCrossEntropy(share=0.15, start=0.0, end=0.5),
            Dice(1.0),
            Jaccard(1.0),
            Logits(1.0, pixels="boundary"),
            Inter(1.0),
            Intra(1.0),
            ProjectorEnsemble(1.0),
            Representation(10.0),
            sampling=Sampling("uncertainty", count=8),
        ),
    ),
    "features alone, which leave the classifier out": (
        R18,
        STCN,
        Recipe.of(
            Representation(1.0),
            MutualInformation(1.0),
            Correlation(1.0),
            Hint(1.0),
            AttentionTransfer(1.0),
            sampling=Sampling("random", count=8),
        ),
    ),
    "attention maps, slots and drops": (
        ("deaot_t", {"width": 0.25, "attention": "deformable", "drop": 0.5}),
        ("deaot_s", {"width": 0.25}),
        Recipe.of(PolyCrossEntropy(), Inter(1.0), Intra(1.0), Attention(1.5), labels="teacher"),
    ),
}


@pytest.fixture(scope="module")
def two_ranks(tiny_davis, tmp_path_factory) -> dict:
    """What two processes on the CPU, joined by gloo, compute; they start once for all tests."""
    folder = tmp_path_factory.mktemp("ranks")
    ends = in_two_processes(all_of_it, folder, CASES, tiny_davis)
    return torch.load(folder / "found.pt", weights_only=True) | {"ends": ends}


@pytest.fixture(scope="module")
def one_process(tiny_davis) -> dict:
    return first_steps(ALONE, CASES, tiny_davis)


def test_the_ranks_share_the_objects_of_a_batch_unevenly(two_ranks):
    """Otherwise the comparisons below would not tell a mean over the ranks from one over the objects."""
    assert two_ranks["objects"] == [3, 4]


@pytest.mark.parametrize("case", CASES)
def test_a_step_of_two_ranks_is_that_of_one_process(case, two_ranks, one_process):
    """Every loss, every gradient and every norm's statistics, to 1e-9 in float64."""
    found, expected = two_ranks["first steps"][case], one_process[case]
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-9, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_what_diverges_on_one_rank_fails_on_all(two_ranks):
    assert two_ranks["diverged"] == [1, 1]


def test_the_first_rank_s_watcher_stops_a_learner_for_all(two_ranks):
    assert two_ranks["watched"] == [[3, 2], [3, 2]]


def test_a_request_to_stop_that_one_rank_hears_saves_first_and_stops_all(two_ranks):
    assert two_ranks["asked"] == [2, 2, 2]


def test_a_rank_that_fails_ends_all_and_alone_tells(two_ranks):
    assert two_ranks["ends"] == ["SystemExit(2)", "DataError('a damaged file')"]


def trained(runs: Path, file: str = "weights.pt") -> dict[str, dict]:
    return {path.name: read_file(path / file) for path in sorted((runs / "trained").iterdir()) if path.is_dir()}


def assert_alike(found: Path, expected: Path) -> None:
    """The same trainings, and the same weights after three steps.

    AdamW turns the rounding of gradients near 0 into steps, so that a few weights differ, and more with every step.
    """
    assert len(trained(expected)) == 3
    losses = [
        {name: [p["total"] for p in x["curve"]] for name, x in trained(runs).items()} for runs in (found, expected)
    ]
    assert losses[0].keys() == losses[1].keys()
    for training, expected_losses in losses[1].items():
        assert losses[0][training] == pytest.approx(expected_losses, rel=1e-3), training
    ours, theirs = (trained(runs, "snapshots/0000003.pt") for runs in (found, expected))
    for training, content in theirs.items():
        for name, value in content["state_dict"].items():
            difference = (ours[training]["state_dict"][name] - value).float()
            assert difference.pow(2).mean().sqrt() < 1e-4, f"{training} {name}"
            assert difference.abs().max() < 2e-3, f"{training} {name}"


GRID = ["ablation=distillation", "seeds=[0]"]


def start(tiny_run, *arguments: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "bench", *tiny_run.arguments, *GRID, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ranks_of(command: subprocess.Popen) -> dict[int, int]:
    """The processes that a command has started as ranks: {rank: process id}."""
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
    found = [(re.search(rb"\0RANK=(\d)", Path(f"/proc/{pid}/environ").read_bytes()), pid) for pid in children]
    return {int(rank[1]): int(pid) for rank, pid in found if rank}


@pytest.mark.slow
def test_a_run_that_is_stopped_and_loses_a_rank_goes_on_and_gives_what_one_process_does(tiny_run, tmp_path):
    """A teacher, and two students that learn from its answers side by side; srun's processes finish the run."""
    longer = ["scale.student.steps=4", "scale.student.snapshots=4"]
    stopped = start(tiny_run, *longer, "ranks=2")
    faults.wait_until(lambda: list(tiny_run.runs.glob("trained/*-mobilevos-*/snapshots/0000002.pt")))
    stopped.terminate()
    _, told = stopped.communicate(timeout=300)
    assert stopped.returncode == 143, told
    assert told.count("\nstopped; the same command goes on from here\n") == 1
    steps = [read_file(path)["step"] for path in (tiny_run.runs / "trained").glob("*/last.pt")]
    assert steps in ([2, 2], [3, 3])

    maimed = start(tiny_run, *longer, "ranks=2")
    assert any(re.match("train .* [23]/4", line) for line in maimed.stderr)
    os.kill(ranks_of(maimed)[1], signal.SIGKILL)
    _, told = maimed.communicate(timeout=300)
    assert maimed.returncode == 2, told
    assert "\nerror: rank 1 of 2 has ended with exit code -9; the same command goes on from" in told

    tasks = [start(tiny_run, *longer, **srun(rank)) for rank in range(2)]
    ends = [task.communicate(timeout=300) for task in tasks]
    assert [task.returncode for task in tasks] == [0, 0], ends
    assert "".join(out for out, _ in ends) == f"results: {tiny_run.out}\n"
    assert ends[1] == ("", "")
    assert report([str(tiny_run.out)]) == 0
    assert [record.status for record in tiny_run.records] == ["ok"] * 4
    assert tiny_run(*GRID, *longer, f"runs={tmp_path}/alone") == 0
    assert_alike(tiny_run.runs, tmp_path / "alone")


def srun(rank: int) -> dict[str, str]:
    """The variables of a task that `srun -n 2` starts on this machine."""
    values = {"PROCID": rank, "LOCALID": rank, "STEP_NUM_TASKS": 2, "JOB_ID": os.getpid(), "STEP_ID": 0,
              "STEP_NODELIST": "localhost"}  # fmt: skip
    return {f"SLURM_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ranks=2", "processes=2"], "processes=2 beside 2 ranks: set processes=1, or ranks=1"),
        (["ranks=2", "device=cuda:1"], "device=cuda:1 is one, for 2 ranks"),
        (["ranks=0"], "ranks=0: give auto or a whole number of at least 1"),
    ],
)
def test_a_mistake_is_told_before_any_process_starts(arguments, message, tiny_run, capsys):
    assert tiny_run(*GRID, *arguments) == 2
    assert f"error: {message}" in capsys.readouterr().err


@pytest.mark.slow
def test_a_mistake_that_all_ranks_find_is_told_once(tiny_run):
    command = start(tiny_run, "ranks=3")
    _, told = command.communicate(timeout=300)
    assert command.returncode == 2
    assert re.findall("error: .*", told) == [
        "error: batch=2 (of scale.teacher or scale.student) cannot be shared evenly by 3 ranks: "
        "give a multiple of 3, or another number of ranks"
    ]
    assert "Traceback" not in told


def place(environment: dict[str, str], **keys) -> Place:
    config = {"job": "ablate", "launcher": {"name": "local"}, "device": "auto", "ranks": "auto"}
    return find_place(OmegaConf.create(config | keys), environment)


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "gpu7",
    "MASTER_PORT": "8",
}  # fmt: skip


def test_a_process_finds_its_place():
    assert place({}) == place({}, ranks=1) == Place()
    assert place({}, ranks=4) == Place(size=4)
    assert place(TORCHRUN) == place(TORCHRUN, ranks=4) == Place(3, 4, 1, "torchrun", "gpu7", 8)
    task = {**srun(1), "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "1", "SLURM_STEP_NODELIST": "gpu[3-4]"}
    assert place(task) == Place(1, 2, 1, "srun", "gpu3", 11004)
    assert place({**task, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "5"}) == Place(1, 2, 1, "srun", "10.0.0.1", 5)
    with pytest.raises(ConfigError, match="ranks=2, but torchrun started 4 processes"):
        place(TORCHRUN, ranks=2)


def test_a_launched_process_may_be_on_its_own():
    batch_script = {"SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "7"}
    assert place(batch_script) == Place()
    assert place(TORCHRUN, ranks=1) == Place()
    assert place(TORCHRUN, job="score").rank == 3  # has nothing to do there


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu03", "gpu03"),
        ("gpu[03-05,9],login", "gpu03"),
        ("a,b[1-2]", "a"),
        ("n[7]", "n7"),
        ("n[1-2]-ib", "n1-ib"),
    ],
)
def test_the_first_host_of_slurm_s_list(nodes, first):
    assert first_host(nodes) == first
