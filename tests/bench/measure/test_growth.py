"""What a frame costs after longer and longer videos: how much is in memory, and that it grows or does not."""

import pytest
import torch

import methods
from bench.measure.growth import growth, kept_frames
from bench.measure.memory import MIB, measure_memory
from bench.measure.scene import Scene
from methods.copy_first_mask import CopyFirstMask
from methods.memory import MemoryPolicy

SMALL = {"height": 96, "width": 160}


def student(**options):
    return methods.create("mobilevos_mnv2_no_aspp", width=0.25, **options)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (MemoryPolicy(every=1, capacity=2), [1, 2, 2, 2, 2, 2]),
        (MemoryPolicy(every=1, capacity=1), [1, 1, 1, 1, 1, 1]),
        (MemoryPolicy(every=1, keep_first=False, capacity=3), [1, 2, 3, 3, 3, 3]),
        (MemoryPolicy(every=1), [1, 2, 4, 8, 16, 32]),
        (MemoryPolicy(every=5), [1, 1, 1, 2, 4, 7]),  # frames 0, 5, 10, ...
        (MemoryPolicy(every=5, include_last=True), [1, 1, 1, 2, 4, 7]),
        (MemoryPolicy(every=5, capacity=3), [1, 1, 1, 2, 3, 3]),
    ],
)
def test_frames_that_a_policy_keeps(policy, kept):
    assert [kept_frames(policy, length) for length in (1, 2, 4, 8, 16, 32)] == kept


@pytest.mark.parametrize(
    "options",
    [
        {"queue_length": 3},
        {"queue_length": 2, "write_rule": "last"},
        {"queue_length": None, "write_rule": "first+every", "memory_every": 2},
    ],
)
def test_as_many_are_kept_as_when_the_video_is_run(options):
    method = student(**options).eval()
    frame = torch.rand(3, 32, 32)
    method.start(frame, torch.ones(32, 32, dtype=torch.long))
    in_memory = [method.memory_frames]
    for _ in range(6):
        method.step(frame)
        in_memory.append(method.memory_frames)
    assert in_memory == [kept_frames(method.policy, length) for length in range(1, 8)]


def test_a_bounded_memory_is_flat_from_its_capacity_on():
    result = growth(student(queue_length=3), Scene(**SMALL), lengths=(1, 2, 3, 4, 20))
    assert result["video_frames"] == [1, 2, 3, 4, 20]
    memory, latency = result["memory_mb_peak"], result["latency_ms"]
    assert memory[0] < memory[1] < memory[2] == memory[3] == memory[4]
    assert latency[2] == latency[3] == latency[4]
    assert min(latency) > 0


def test_an_unbounded_memory_grows_with_the_video():
    method = student(queue_length=None)
    few = growth(method, Scene(**SMALL), lengths=(1, 2, 4))["memory_mb_peak"]
    assert few[0] < few[1] < few[2]

    # When the memory outweighs the encoders the peak is where it is compared with the frame.
    at_100, at_200, at_400 = growth(method, Scene(**SMALL), lengths=(100, 200, 400))["memory_mb_peak"]
    assert at_400 - at_200 == pytest.approx(2 * (at_200 - at_100), rel=1e-3)
    positions = (96 // 16) * (160 // 16)
    compared = 3 * positions * positions + positions  # products, twice the products, their difference; norms
    kept = (32 + 32) * positions  # key and value
    slope = (at_200 - at_100) / 100 * MIB / 4
    # The frames joined for the reading are always there, the frames themselves unless they share memory.
    assert slope == compared + 2 * kept


def test_it_is_the_memory_of_a_frame_in_that_state():
    method = student(queue_length=None, write_rule="first+every", memory_every=2)
    after_9 = growth(method, Scene(**SMALL), lengths=(9,))["memory_mb_peak"]
    assert after_9 == [measure_memory(method, Scene(**SMALL, memory_frames=5))]  # frames 0, 2, 4, 6, 8


def test_without_a_memory_all_is_flat():
    result = growth(CopyFirstMask(), Scene(**SMALL), lengths=(1, 7, 30))
    assert result["memory_mb_peak"] == [2 * 96 * 160 * 4 / MIB] * 3
    assert len(set(result["latency_ms"])) == 1
