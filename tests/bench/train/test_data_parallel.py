"""Several processes that train one network reach what one does."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from joint_training import first_steps, last_fails, objects, one_diverges, steps_until_stopped
from omegaconf import OmegaConf

from bench.losses.attention import Attention
from bench.losses.attention_transfer import AttentionTransfer
from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.dist import Inter, Intra
from bench.losses.hint import Hint
from bench.losses.itrd import Correlation, MutualInformation
from bench.losses.logits import Logits
from bench.losses.overlap import Dice, Jaccard
from bench.losses.pefd import ProjectorEnsemble
from bench.losses.pixels import Sampling
from bench.losses.representation import Representation
from bench.plan.recipe import Recipe
from bench.system.errors import ConfigError, RanksError
from bench.train import group
from bench.train.learner import Learner
from bench.train.place import Place, find_place, first_host
from bench.train.together import leading, together
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
    runs = tmp_path_factory.mktemp("runs")
    with pytest.raises(RanksError) as lost, leading(Place(size=2), "cpu", runs):
        found = {
            "objects": together(objects, tiny_davis, device="cpu"),
            "first steps": together(first_steps, CASES, tiny_davis, device="cpu"),
            "diverged": together(one_diverges, tiny_davis, device="cpu"),
            "stopped": together(
                steps_until_stopped,
                tiny_davis,
                tmp_path_factory.mktemp("watched"),
                device="cpu",
                on_step=lambda x: (
                    "enough" if x.step == 2 and x.recipe.losses["poly_ce"].weight == 1 else None
                ),
            ),
        }
        together(last_fails, device="cpu")
    return found | {"lost": str(lost.value)}


@pytest.fixture(scope="module")
def one_process(tiny_davis) -> dict:
    return together(first_steps, CASES, tiny_davis, device="cpu")


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


def test_the_first_rank_stops_a_learner_for_all(two_ranks):
    assert two_ranks["stopped"] == [[2, 3], [2, 3]]


def test_a_rank_that_fails_ends_all(two_ranks):
    assert two_ranks["lost"].startswith("rank 1 has ended with exit code 2, so the training cannot go on")
    assert not multiprocessing.active_children()


def test_no_process_starts_for_nothing(tmp_path):
    with leading(Place(size=2), "cpu", tmp_path):
        pass
    assert not multiprocessing.active_children()


def weights(runs: Path) -> dict[str, dict[str, torch.Tensor]]:
    files = sorted((runs / "trained").glob("*/weights.pt"))
    return {file.parent.name: torch.load(file, weights_only=True)["state_dict"] for file in files}


def assert_alike(found: Path, expected: Path) -> None:
    """The same trainings; AdamW turns the rounding of gradients near 0 into steps, so that a few weights differ."""
    ours, theirs = weights(found), weights(expected)
    assert ours.keys() == theirs.keys()
    assert len(theirs) == 3
    for training, state in theirs.items():
        for name, value in state.items():
            difference = (ours[training][name] - value).float()
            assert difference.pow(2).mean().sqrt() < 1e-4, f"{training} {name}"
            assert difference.abs().max() < 2e-3, f"{training} {name}"


GRID = ["ablation=distillation", "seeds=[0]"]


@pytest.mark.slow
def test_a_killed_rank_ends_the_run_and_the_next_goes_on(tiny_run, tmp_path, monkeypatch, capfd):
    """A teacher, and two students that learn from its answers side by side, on two ranks and then on one."""
    monkeypatch.setattr(group, "SECONDS_BETWEEN_CHECKPOINTS", -1)
    honest = Learner.learn

    def learn(self, batch, teacher, seed):
        if teacher is not None and self.step == 2:
            (other,) = multiprocessing.active_children()
            os.kill(other.pid, signal.SIGKILL)
        return honest(self, batch, teacher, seed)

    monkeypatch.setattr(Learner, "learn", learn)
    assert tiny_run(*GRID, "ranks=2") == 2
    assert (
        "error: rank 1 has ended with exit code -9, so the training cannot go on; the same command goes on from "
        "the last checkpoint\n"
    ) in capfd.readouterr().err
    assert (
        len(list((tiny_run.runs / "trained").glob("*/last.pt"))) == 2
    )  # of the students; the teacher is done
    assert not multiprocessing.active_children()

    monkeypatch.setattr(Learner, "learn", honest)
    assert tiny_run(*GRID, "ranks=2") == 0
    assert [record.status for record in tiny_run.records] == ["ok"] * 4
    assert tiny_run(*GRID, f"runs={tmp_path}/alone") == 0
    assert_alike(tiny_run.runs, tmp_path / "alone")


def start(tiny_run, launcher: list[str], **environment: str) -> subprocess.Popen:
    command = [sys.executable, *launcher, "-m", "bench", *tiny_run.arguments, *GRID]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_a_launcher_s_processes_make_one_table(launcher, tiny_run):
    if launcher == "torchrun":
        torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--rdzv-backend=c10d"]
        started = [start(tiny_run, [*torchrun, "--rdzv-endpoint=localhost:0"])]
    else:
        started = [start(tiny_run, [], **srun(rank)) for rank in range(2)]
    told = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * len(started), told
    assert "".join(out for out, _ in told) == f"results: {tiny_run.out}\n"
    assert report([str(tiny_run.out)]) == 0
    assert [record.status for record in tiny_run.records] == ["ok"] * 4


def srun(rank: int) -> dict[str, str]:
    """The variables of a task that `srun -n 2` starts on this machine."""
    values = {"PROCID": rank, "LOCALID": rank, "STEP_NUM_TASKS": 2, "JOB_ID": os.getpid(), "STEP_ID": 0,
              "STEP_NODELIST": "localhost"}  # fmt: skip
    return {f"SLURM_{name}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ranks=3"], "batch=2 (of scale.teacher or scale.student) cannot be shared evenly by 3 ranks"),
        (["ranks=2", "processes=2"], "processes=2 beside 2 ranks: set processes=1, or ranks=1"),
        (["ranks=2", "device=cuda:1"], "device=cuda:1 is one, for 2 ranks"),
        (["ranks=0"], "ranks=0: give auto, or a number of processes from 1 upwards"),
    ],
)
def test_a_mistake_is_told_before_any_process_starts(arguments, message, tiny_run, capsys):
    assert tiny_run(*GRID, *arguments) == 2
    assert f"error: {message}" in capsys.readouterr().err
    assert not multiprocessing.active_children()


def place(environment: dict[str, str], **keys) -> Place:
    config = {"job": "ablate", "device": "auto", "processes": "auto", "ranks": "auto", **keys}
    return find_place(OmegaConf.create(config), environment)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}


def test_a_process_finds_its_place():
    assert place({}) == place({}, ranks=1) == Place()
    assert place({}, ranks=4) == Place(size=4)
    assert place(TORCHRUN) == place(TORCHRUN, ranks=4) == Place(3, 4, 1, "torchrun")
    task = {**srun(1), "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "1", "SLURM_STEP_NODELIST": "gpu[3-4]"}
    assert place(task) == Place(1, 2, 1, "srun", "gpu3", 11004)
    assert place({**task, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "5"}) == Place(
        1, 2, 1, "srun", "10.0.0.1", 5
    )
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
