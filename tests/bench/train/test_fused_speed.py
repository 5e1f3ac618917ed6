"""A sweep trained side by side against the same sweep trained cell by cell, timed in one run."""

import time

import pytest
import torch

import methods
from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.logits import Logits
from bench.losses.masks import Dice
from bench.losses.representation import Representation
from bench.plan.recipe import Recipe, Schedule
from bench.tasks import TASKS
from bench.train.group import train_group
from bench.train.learner import Learner
from datasets.clips import ClipStream, VideoClips
from datasets.davis import open_davis
from datasets.embedded import EmbeddedSpec, ensure_embedded

CELLS = 8
SCHEDULE = Schedule(steps=2, batch=2, crop=96, length=4, snapshots=0)  # scale=laptop, but few steps
LEAST = 3.0

VIDEOS = TASKS["videos"]


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.benchmark_ratio
@pytest.mark.usefixtures("one_thread")
def test_a_sweep_of_eight_under_a_full_size_teacher_is_three_times_faster_fused(tmp_path, capsys):
    """In seconds of one core, which other work on the machine hardly disturbs; several cores gain more."""
    spec = EmbeddedSpec(train_sequences=2, train_frames=6, val_sequences=1, val_frames=1)
    videos = open_davis(ensure_embedded(tmp_path / "data", spec, workers=1), 2017, "train")
    clips = ClipStream(VideoClips(videos, SCHEDULE.length, SCHEDULE.crop, seed=0), SCHEDULE.steps, SCHEDULE.batch)
    teacher = methods.create("stcn").to(memory_format=torch.channels_last).requires_grad_(False)

    def learner(number: int) -> Learner:
        representation = Representation(10.0, omega=number / (CELLS - 1))
        recipe = Recipe.of(PolyCrossEntropy(), Dice(1.0), representation, Logits(0.1))
        torch.manual_seed(0)
        student = methods.create("mobilevos_r18", width=0.25)
        folder = tmp_path / f"{time.monotonic_ns()}"  # nothing to resume from
        return Learner("", student, recipe, SCHEDULE, folder, {}, VIDEOS, teacher=teacher)

    def seconds(learners: list[Learner]) -> float:
        start = time.process_time()
        train_group(learners, clips, SCHEDULE, 0, teacher, "cpu")
        return time.process_time() - start

    seconds([learner(0)])  # what is set up on first use
    one_by_one = sum(seconds([learner(number)]) for number in range(CELLS // 2))
    fused = seconds([learner(number) for number in range(CELLS)])
    one_by_one += sum(seconds([learner(number)]) for number in range(CELLS // 2, CELLS))
    ratio = one_by_one / fused
    with capsys.disabled():
        print(
            f"\n{CELLS} cells, {SCHEDULE.steps} steps: one by one {one_by_one:.1f} s, fused {fused:.1f} s, "
            f"ratio {ratio:.2f}"
        )
    assert ratio >= LEAST
