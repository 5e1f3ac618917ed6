"""Latency: what is timed, at which size of the memory, and how the times become figures."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import methods
from bench.measure import timing
from bench.measure.conditions import precision_name
from bench.measure.protocols import step
from bench.measure.scene import Scene
from bench.measure.timing import Limits
from bench.system.environment import device_name
from bench.system.errors import ConfigError
from methods.copy_first_mask import CopyFirstMask
from methods.mobilevos.network import MobileVOS
from methods.stcn.network import STCN

SMALL = {"height": 64, "width": 96}
QUICK = Limits(warmup=0, min_runs=3, max_runs=3)
SLEEPS = (0.01, 0.04, 0.02, 0.03)


class Sleeper(CopyFirstMask):
    """A method whose latency is known."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def step(self, frame):
        time.sleep(SLEEPS[self.steps % len(SLEEPS)])
        self.steps += 1
        return super().step(frame)


def spy(base: type, seen: list, **options):
    """A small network of class `base` that notes the memory it reads (in frames) and its writes."""

    class Spy(base):
        def segment(self, query, memory_key, memory_value):
            positions = query.key16.shape[-2] * query.key16.shape[-1]
            seen.append(memory_key.shape[-1] // positions)
            assert memory_value.shape[-1] == memory_key.shape[-1]
            return super().segment(query, memory_key, memory_value)

        def encode_memory(self, *inputs):
            seen.append("write")
            return super().encode_memory(*inputs)

    return Spy(**options).eval()


def test_figures_of_a_known_latency():
    result = step(Sleeper(), Scene(**SMALL), Limits(warmup=0, min_runs=4, max_runs=4))
    sleeps = np.array(SLEEPS) * 1000
    assert result.frames == 4
    # A busy machine sleeps longer than asked, never shorter.
    assert sleeps.mean() <= 1000 / result.fps < 20 * sleeps.mean()
    assert np.median(sleeps) <= result.ms_median < 20 * np.median(sleeps)
    assert np.percentile(sleeps, 90) <= result.ms_p90 < 20 * np.percentile(sleeps, 90)


def test_percentiles_are_of_the_single_frames(monkeypatch):
    begin_and_end = iter([0.000, 0.004, 1.000, 1.001, 2.000, 2.003, 3.000, 3.002, 4.000, 4.005])
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: next(begin_and_end)))
    result = step(CopyFirstMask(), Scene(**SMALL), Limits(warmup=0, min_runs=5, max_runs=5))
    assert result.ms_median == pytest.approx(3)
    assert result.ms_iqr == pytest.approx(2)
    assert result.ms_p90 == pytest.approx(4.6)
    assert result.fps == pytest.approx(5 / 0.015)


def test_warm_up_is_not_timed():
    method = Sleeper()
    first_is_skipped = step(method, Scene(**SMALL), Limits(warmup=1, min_runs=1, max_runs=1))
    assert first_is_skipped.frames == 1
    assert first_is_skipped.ms_median >= 1000 * SLEEPS[1]


def test_time_ends_the_measurement_but_not_before_min_runs():
    hasty = Limits(warmup=0, min_runs=2, max_runs=100, max_seconds=0.0)
    assert step(Sleeper(), Scene(**SMALL), hasty).frames == 2
    assert step(CopyFirstMask(), Scene(**SMALL), Limits(max_runs=7, max_seconds=60)).frames == 7


def test_a_growing_memory_is_read_at_one_size_in_whole_write_cycles():
    seen = []
    method = spy(STCN, seen, memory_every=3, width=0.125)
    result = step(method, Scene(**SMALL, memory_frames=4), Limits(warmup=0, min_runs=4, max_runs=6))
    assert seen == ["write", *[4, 4, 4, "write"] * 2]  # start, then two cycles
    assert (result.frames, result.memory_frames) == (6, 4)


def test_the_memory_of_a_student_is_full_and_written_every_frame():
    seen = []
    method = spy(MobileVOS, seen, backbone="mobilenet_v2", aspp=False, width=0.25)
    result = step(method, Scene(**SMALL), QUICK)
    assert seen == ["write", *[2, "write"] * 3]
    assert result.memory_frames == 2


def test_a_memory_of_the_annotated_frame_only_is_never_written():
    seen = []
    method = spy(MobileVOS, seen, backbone="mobilenet_v2", aspp=False, width=0.25, queue_length=1)
    step(method, Scene(**SMALL), QUICK)
    assert seen == ["write", 1, 1, 1]


def test_a_method_without_memory():
    result = step(methods.create("copy_first_mask"), Scene(**SMALL, objects=3), QUICK)
    assert (result.memory_frames, result.objects, result.frames) == (0, 3, 3)


def test_the_objects_asked_for_are_segmented():
    shapes = []

    class Spy(CopyFirstMask):
        def step(self, frame):
            shapes.append(tuple(super().step(frame).shape))

    step(Spy(), Scene(8, 6, objects=5), Limits(warmup=0, min_runs=1, max_runs=1))
    assert shapes == [(6, 8, 6)]


def test_the_method_is_left_as_it_was():
    method = methods.create("mobilevos_mnv2", width=0.25).train()
    method.start(torch.rand(3, 32, 32), 7 * torch.ones(32, 32, dtype=torch.long))
    step(method, Scene(**SMALL), QUICK)
    assert method.training
    assert method.object_ids == [7]
    assert method.memory_frames == 1


def test_precision_is_that_of_autocast_or_of_the_weights():
    method = methods.create("mobilevos_mnv2", width=0.25)
    cpu = torch.device("cpu")
    assert precision_name(method, cpu) == precision_name(CopyFirstMask(), cpu) == "fp32"
    with torch.autocast("cpu", torch.bfloat16):
        assert precision_name(method, cpu) == "bf16"
    assert precision_name(method.to(torch.float16), cpu) == "fp16"


def test_device_name_tells_model_and_threads():
    name = device_name("cpu")
    threads = torch.get_num_threads()
    assert name.endswith(f"({threads} threads)" if threads > 1 else "(1 thread)")
    assert len(name.split(" (")[0]) > 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    method = methods.create("mobilevos_mnv2", width=0.25)
    assert step(method, Scene(**SMALL, device="cuda"), QUICK).fps > 0
    assert next(method.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory_frames": 3}, "memory_frames=3 do not fit in a memory of 2 frames"),
        ({"objects": 0}, "objects=0"),
        ({"objects": 96}, "objects=96: give 1 to 95"),
    ],
)
def test_impossible_settings_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        step(methods.create("mobilevos_mnv2", width=0.25), Scene(**{**SMALL, **arguments}))
