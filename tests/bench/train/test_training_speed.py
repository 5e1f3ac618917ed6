"""A step at scale=cpu against one in which all weights learn in fp32, as they did at first, timed in one run."""

import time
from dataclasses import replace

import pytest
import torch

import methods
from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.masks import Dice
from bench.plan.compose import load_config, to_dataclass
from bench.plan.recipe import Recipe, Schedule
from bench.system.workers import threads
from bench.tasks import TASKS
from bench.train.group import train_group
from bench.train.learner import Learner
from datasets.clips import ClipStream, VideoClips
from datasets.davis import open_davis
from datasets.embedded import EmbeddedSpec, ensure_embedded

STEPS = 3
LEAST = 1.5

VIDEOS = TASKS["videos"]


@pytest.mark.slow
@pytest.mark.benchmark_ratio
def test_a_step_of_scale_cpu_takes_two_thirds_of_the_time(tmp_path, capsys):
    """In seconds of one core, which other work on the machine hardly disturbs. bf16 counts where the CPU has it."""
    spec = EmbeddedSpec(train_sequences=2, train_frames=6, val_sequences=1, val_frames=1)
    videos = open_davis(ensure_embedded(tmp_path / "data", spec, workers=1), 2017, "train")
    config = load_config(["scale=cpu"])
    scales = replace(to_dataclass(config.scale.student, Schedule), steps=STEPS, snapshots=0)
    clips = ClipStream(VideoClips(videos, scales.length, scales.crop, seed=0), STEPS, scales.batch)

    def seconds(schedule: Schedule) -> float:
        torch.manual_seed(0)
        student = methods.create("mobilevos_mnv2_no_aspp")
        folder = tmp_path / f"{time.monotonic_ns()}"  # nothing to resume from
        recipe = Recipe.of(PolyCrossEntropy(), Dice(1.0))
        learner = Learner("", student, recipe, schedule, folder, {}, VIDEOS, freeze_norm=True)
        start = time.process_time()
        train_group([learner], clips, schedule, 0, None, "cpu")
        return time.process_time() - start

    whole = replace(scales, backbone_lr=1.0, precision="fp32")
    with threads(1):
        seconds(scales)  # what is set up on first use
        before, after = seconds(whole), seconds(scales)
    with capsys.disabled():
        print(f"\n{STEPS} steps: all weights in fp32 {before:.1f} s, scale=cpu {after:.1f} s: {before / after:.2f}")
    assert before / after > LEAST
