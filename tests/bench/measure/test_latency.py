"""Latency: what is timed, at which size of the memory, and how the times become figures."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import methods
from bench.measure import latency
from bench.measure.latency import measure_latency, precision_name
from bench.system.environment import device_name
from bench.system.errors import ConfigError
from methods.copy_first_mask import CopyFirstMask
from methods.mobilevos.network import MobileVOS
from methods.stcn.network import STCN

SMALL = {"height": 64, "width": 96}
QUICK = {**SMALL, "warmup": 0, "min_runs": 3, "max_runs": 3}
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
    result = measure_latency(Sleeper(), **SMALL, warmup=0, min_runs=4, max_runs=4)
    sleeps = np.array(SLEEPS) * 1000
    assert result.runs == 4
    # A busy machine sleeps longer than asked, never shorter.
    assert sleeps.mean() <= 1000 / result.fps < 20 * sleeps.mean()
    assert np.median(sleeps) <= result.latency_ms_median < 20 * np.median(sleeps)
    assert np.percentile(sleeps, 90) <= result.latency_ms_p90 < 20 * np.percentile(sleeps, 90)


def test_percentiles_are_of_the_single_frames(monkeypatch):
    begin_and_end = iter([0.000, 0.004, 1.000, 1.001, 2.000, 2.003, 3.000, 3.002, 4.000, 4.005])
    monkeypatch.setattr(latency, "time", SimpleNamespace(perf_counter=lambda: next(begin_and_end)))
    result = measure_latency(CopyFirstMask(), **SMALL, warmup=0, min_runs=5, max_runs=5)
    assert result.latency_ms_median == pytest.approx(3)
    assert result.latency_ms_iqr == pytest.approx(2)
    assert result.latency_ms_p90 == pytest.approx(4.6)
    assert result.fps == pytest.approx(5 / 0.015)


def test_warm_up_is_not_timed():
    method = Sleeper()
    first_is_skipped = measure_latency(method, **SMALL, warmup=1, min_runs=1, max_runs=1)
    assert first_is_skipped.runs == 1
    assert first_is_skipped.latency_ms_median >= 1000 * SLEEPS[1]


def test_time_ends_the_measurement_but_not_before_min_runs():
    hasty = {**SMALL, "warmup": 0, "max_runs": 100, "max_seconds": 0.0}
    assert measure_latency(Sleeper(), **hasty, min_runs=2).runs == 2
    assert measure_latency(CopyFirstMask(), **SMALL, max_runs=7, max_seconds=60).runs == 7


def test_a_growing_memory_is_read_at_one_size_in_whole_write_cycles():
    seen = []
    method = spy(STCN, seen, memory_every=3, width=0.125)
    result = measure_latency(method, **SMALL, memory_frames=4, warmup=0, min_runs=4, max_runs=6)
    assert seen == ["write", *[4, 4, 4, "write"] * 2]  # start, then two cycles
    assert (result.runs, result.memory_frames) == (6, 4)


def test_the_memory_of_a_student_is_full_and_written_every_frame():
    seen = []
    method = spy(MobileVOS, seen, backbone="mobilenet_v2", aspp=False, width=0.25)
    result = measure_latency(method, **QUICK)
    assert seen == ["write", *[2, "write"] * 3]
    assert result.memory_frames == 2


def test_a_memory_of_the_annotated_frame_only_is_never_written():
    seen = []
    method = spy(MobileVOS, seen, backbone="mobilenet_v2", aspp=False, width=0.25, queue_length=1)
    measure_latency(method, **QUICK)
    assert seen == ["write", 1, 1, 1]


def test_a_method_without_memory():
    result = measure_latency(methods.create("copy_first_mask"), **QUICK, objects=3)
    assert (result.memory_frames, result.objects, result.runs) == (0, 3, 3)
    assert (result.height, result.width, result.precision) == (64, 96, "fp32")


def test_the_objects_asked_for_are_segmented():
    shapes = []

    class Spy(CopyFirstMask):
        def step(self, frame):
            shapes.append(tuple(super().step(frame).shape))

    measure_latency(Spy(), 8, 6, objects=5, warmup=0, min_runs=1, max_runs=1)
    assert shapes == [(6, 8, 6)]


def test_the_method_is_left_as_it_was():
    method = methods.create("mobilevos_mnv2", width=0.25).train()
    method.start(torch.rand(3, 32, 32), 7 * torch.ones(32, 32, dtype=torch.long))
    measure_latency(method, **QUICK)
    assert method.training
    assert method.object_ids == [7]
    assert method.memory_frames == 1


def test_precision_is_that_of_autocast_or_of_the_weights():
    method = methods.create("mobilevos_mnv2", width=0.25)
    assert measure_latency(method, **QUICK).precision == "fp32"
    with torch.autocast("cpu", torch.bfloat16):
        assert measure_latency(method, **QUICK).precision == "bf16"
    assert precision_name(method.to(torch.float16), torch.device("cpu")) == "fp16"


def test_device_name_tells_model_and_threads():
    name = device_name("cpu")
    threads = torch.get_num_threads()
    assert name.endswith(f"({threads} threads)" if threads > 1 else "(1 thread)")
    assert len(name.split(" (")[0]) > 2
    assert measure_latency(CopyFirstMask(), **QUICK).device == name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    method = methods.create("mobilevos_mnv2", width=0.25)
    result = measure_latency(method, **QUICK, device="cuda")
    assert result.device == torch.cuda.get_device_name()
    assert next(method.parameters()).device.type == "cpu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"memory_frames": 3}, "memory_frames=3 do not fit in a memory of 2 frames"),
        ({"objects": 0}, "objects=0"),
        ({"objects": 96}, "objects=96: give 1 to 95"),
        ({"min_runs": 0}, "min_runs=0"),
    ],
)
def test_impossible_settings_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        measure_latency(methods.create("mobilevos_mnv2", width=0.25), **{**SMALL, **arguments})
