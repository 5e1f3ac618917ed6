"""DeAOT is measured by the same code as the others: official costs, arithmetic by hand, its two memories."""

import pytest
import torch
from counted import gmacs_by_step

import methods
from bench.measure.complexity import complexity, frame_gmacs
from bench.measure.growth import core_sweep, growth, kept_frames
from bench.measure.memory import MIB, measure_memory
from bench.measure.operators import operators
from bench.measure.protocols import frame, step
from bench.measure.scene import Scene
from bench.measure.timing import Limits
from methods.deaot.attention import RADIUS
from methods.deaot.window import TILE

SMALL = {"height": 96, "width": 160}  # seen at 97 x 161: 7 x 11 positions
PIXELS = 7 * 11


def small(name: str = "deaot_t", **options):
    torch.manual_seed(0)
    return methods.create(name, width=0.25, **options)  # 64 channels


def gflops(name: str, **scene) -> dict[str, float]:
    """The official figures count 2 FLOPs a multiply-add, at 481x865, which is how 480x864 is seen."""
    with torch.device("meta"):
        method = methods.create(name)
    return {stage: 2 * gmacs for stage, gmacs in gmacs_by_step(method, Scene(**scene)).items()}


def tiled(length: int, tile: int) -> int:
    """Pairs of a query and a pixel that its tile of queries meets, along one axis."""
    starts = range(0, length, tile)
    return sum((min(s + tile, length) - s) * (min(s + tile + RADIUS, length) - max(s - RADIUS, 0)) for s in starts)


@pytest.mark.parametrize(
    ("name", "encode", "propagate", "decode", "remember"),
    [
        ("deaot_t", 10.4, 28.1, 14.6, 3.2),
        ("deaot_l", 10.4, 85.2, 14.6, 5.0),
        ("r50_deaot_l", 56.9, 85.2, 18.6, 5.0),
    ],
)
def test_stages_are_the_official_ones_but_for_the_window(name, encode, propagate, decode, remember):
    """The official short-term attention reads its values by a dense product of all pixels, and computes its scores
    element by element, which no counter sees. Ours is products of tiles, for scores and values: 24.0 and 72.9
    GFLOPs of propagation in place of 28.1 and 85.2. Ten objects fill the identification bank, as it is run there.
    """
    found = gflops(name, objects=10, memory_frames=1)
    assert found["query_encode"] == pytest.approx(encode, abs=0.05)
    assert found["decode"] == pytest.approx(decode, abs=0.05)
    assert found["memory_encode"] == pytest.approx(remember, abs=0.05)
    layers, (key, value), (height, width) = 1 if name == "deaot_t" else 3, (128, 1024), (31, 55)
    pairs = tiled(height, TILE[0]) * tiled(width, TILE[1])
    saved = 2e-9 * (value * (height * width) ** 2 - (key + value) * pairs)
    assert found["memory_read"] == pytest.approx(propagate - layers * saved, abs=0.1)
    assert found["memory_read"] == pytest.approx(24.0 if layers == 1 else 72.9, abs=0.05)


def test_the_bank_is_convolved_with_the_planes_that_hold_objects():
    one, ten = (gmacs_by_step(small(), Scene(**SMALL, objects=n))["memory_encode"] for n in (1, 10))
    assert (ten - one) * 1e9 == pytest.approx(9 * 17 * 17 * 64 * PIXELS)


@pytest.mark.parametrize(("attention", "seen"), [("vanilla", PIXELS), ("deformable", 4 * 6)])
def test_a_long_term_frame_by_hand(attention, seen):
    """Products with Ck = C / 2 and Cv = 4 C channels for each pair of a query and a position that it sees."""
    method = small("deaot_s", long_term_gap=5, attention=attention)
    one, three = (gmacs_by_step(method, Scene(**SMALL, memory_frames=n))["memory_read"] for n in (1, 3))
    layers, frames = 2, 2
    assert (three - one) * 1e9 == pytest.approx(layers * frames * (32 + 256) * PIXELS * seen)


def test_a_frame_is_all_stages_since_the_short_term_memory_takes_every_frame():
    for options, stored in (({}, 1), ({"long_term_gap": 5}, 8)):
        cost = complexity(small(**options), Scene(**SMALL))
        assert cost.writes_per_frame == 1
        assert cost.gmacs == pytest.approx(sum(cost.stages.values()))
        assert cost.memory_frames == stored


def test_the_grid_has_one_memory_for_a_bounded_one_and_a_line_for_a_growing_one():
    (only,) = frame_gmacs(small(), Scene(**SMALL), objects=(1,), memory_frames=(1, 2, 8))
    assert (only["memory_frames"], only["gmacs"]) == (1, sum(gmacs_by_step(small(), Scene(**SMALL)).values()))
    growing = small(long_term_gap=5)
    cells = frame_gmacs(growing, Scene(**SMALL), objects=(1,), memory_frames=(1, 8))
    assert cells[1]["gmacs"] == pytest.approx(sum(gmacs_by_step(growing, Scene(**SMALL, memory_frames=8)).values()))


def test_three_counters_agree_but_for_norms_softmax_and_what_is_called_as_a_function():
    method = small()
    counters = complexity(method, Scene(**SMALL)).counters
    for name in ("query_encode", "memory_read", "decode"):
        macs = [steps[name] for steps in counters.values()]
        assert macs[0] < min(macs[1:]) and max(macs) < 1.2 * macs[0]
    bank = 17 * 17 * 2 * 64 * PIXELS
    write = {name: steps["memory_encode"] * 1e9 for name, steps in counters.items()}
    norm = PIXELS * 64
    assert write["fvcore"] == pytest.approx(write["torch"] + 5 * norm)
    assert write["thop"] == pytest.approx(write["torch"] - bank + 4 * norm)  # it does not see the bank


def test_what_of_deaot_is_not_counted():
    found = operators(small(attention="deformable"), Scene(**SMALL))
    assert {"_softmax", "gather", "scatter", "index_select", "upsample_bicubic2d"} <= found.torch_unseen.keys()
    assert not {"convolution", "bmm", "mm", "addmm"} & found.torch_unseen.keys()
    assert {"softmax", "index_select", "scatter"} <= found.fvcore_unseen.keys()
    assert {"matmul", "linear", "conv"} <= found.fvcore_counted.keys()


def test_as_many_are_kept_as_when_the_video_is_run():
    for options in ({}, {"long_term_gap": 2}):
        method, image = small(**options), torch.rand(3, 33, 33)
        method.start(image, torch.ones(33, 33, dtype=torch.long))
        kept = [method.memory_frames]
        for _ in range(5):
            method.step(image)
            kept.append(method.memory_frames)
        assert kept == [kept_frames(method.policy, length) for length in range(1, 7)]


def test_a_filled_memory_is_that_of_a_video_that_stands_still():
    method, image = small("deaot_l", long_term_gap=1), torch.rand(3, 33, 33)
    method.start(image, torch.ones(33, 33, dtype=torch.long))
    first = method._groups[0].short_term[0]
    method.fill_memory(3)
    filled = method._groups[0]
    assert method.memory_frames == 3
    for part in filled.long_term[0].key.chunk(3, 2):
        assert part.equal(first.key)
    assert filled.short_term[0].value.equal(first.value)
    assert filled.short_term[0].value.data_ptr() != first.value.data_ptr()
    method.step(image)
    assert method.memory_frames == 4
    method.fill_memory(1)  # as at first, however far the video went
    assert method._groups[0].long_term[0].value.equal(first.value)


def test_latency_and_frames_are_timed_in_whole_write_cycles_of_the_long_term_memory():
    hasty = Limits(warmup=0, min_runs=1, max_runs=1)
    assert step(small(), Scene(**SMALL), hasty).frames == 1  # not the 9999 frames of its gap
    found = step(small(long_term_gap=5), Scene(**SMALL, memory_frames=2), hasty)
    assert (found.frames, found.memory_frames) == (5, 2)
    timing = frame(small(long_term_gap=2), Scene(**SMALL, memory_frames=3))
    assert timing.frames % 2 == 0 and timing.memory_frames == 3


def test_both_memories_count():
    """Every further frame adds keys and values, and the two products of a query with it; T has one of each."""
    method = small(long_term_gap=1)
    few, some, many = (measure_memory(method, Scene(**SMALL, memory_frames=n)) for n in (50, 100, 150))
    assert many - some == pytest.approx(some - few, rel=0.01)
    kept = (32 + 256) * PIXELS * 4 / MIB
    assert (some - few) / 50 > kept
    assert measure_memory(small(), Scene(**SMALL)) > 4 * sum(p.numel() for p in small().parameters()) / MIB


def test_growth_is_flat_where_annotated_frames_alone_are_kept():
    flat = growth(small(), Scene(**SMALL), lengths=(1, 10, 30))
    assert len(set(flat["latency_ms"])) == len(set(flat["memory_mb_peak"])) == 1
    growing = growth(small(long_term_gap=2), Scene(**SMALL), lengths=(1, 30))["memory_mb_peak"]
    assert growing[0] < growing[1]


def test_the_sweep_of_deaot():
    found = core_sweep(small(), Scene(**SMALL), (1, 10), (1, 2))
    times = found["length"]["core_ms"] + found["objects"]["core_ms"]
    assert min(times) > 0 and times[0] == times[1]
