"""Speed by protocols: what each times, counted on a clock that only the method and the files move."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import methods
from bench.measure import conditions as module
from bench.measure import growth, protocols, timing
from bench.measure.conditions import Conditions, autocast, check, prepare
from bench.measure.growth import core_sweep
from bench.measure.protocols import PROTOCOLS, aot, core, frame, stcn, video
from bench.measure.scene import Scene, moving_texture, write_frames
from bench.measure.timing import Limits, Timing
from bench.plan.compose import load_config, to_dataclass
from bench.system.errors import ConfigError
from bench.system.workers import threads
from datasets.images import read_frame, write_mask
from methods.copy_first_mask import CopyFirstMask
from methods.memory import MemoryPolicy
from methods.mobilevos.network import MobileVOS
from methods.stcn.network import STCN
from methods.steps import STEPS, Step

SCENE = Scene(height=64, width=96, objects=2, frames=4)
ONCE = Limits(warmup=0, min_runs=1, max_runs=1)


class Clock:
    """Seconds that pass only when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=clock))
    return clock


class Timed(CopyFirstMask):
    """A method that takes 30 ms for the annotated frame and then 20, 10, 20, 10, ... ms a frame."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.steps = clock, 0

    def start(self, frame, mask):
        self.clock.now += 0.030
        super().start(frame, mask)
        self.steps = 0

    def step(self, frame):
        self.clock.now += 0.020 if self.steps % 2 == 0 else 0.010
        self.steps += 1
        return super().step(frame)


def test_stcn_counts_the_annotated_frame_and_its_time(clock):
    result = stcn(Timed(clock), SCENE)
    assert result.fps == pytest.approx(4 / (0.030 + 0.020 + 0.010 + 0.020))
    assert (result.frames, result.ms_median) == (4, None)


def test_aot_leaves_the_annotated_frame_out(clock):
    result = aot(Timed(clock), SCENE)
    assert result.fps == pytest.approx(3 / (0.020 + 0.010 + 0.020))
    assert (result.frames, result.objects) == (3, 2)
    assert result.ms_first == pytest.approx(30)
    assert result.ms_median == pytest.approx(20)


def test_video_counts_files_too(clock, monkeypatch):
    written = []

    def slow_read(path):
        clock.now += 0.005
        return read_frame(path)

    def slow_write(path, mask):
        clock.now += 0.007
        written.append((path.name, mask))
        write_mask(path, mask)

    monkeypatch.setattr(protocols, "read_frame", slow_read)
    monkeypatch.setattr(protocols, "write_mask", slow_write)
    result = video(Timed(clock), SCENE)
    assert result.fps == pytest.approx(4 / (0.080 + 4 * 0.012))
    assert result.ms_first == pytest.approx(42)
    given, *answers = written
    assert given[0] == "00000.png"
    assert [name for name, _ in answers] == [f"{i:05d}.png" for i in range(4)]
    assert all(set(np.unique(mask)) == {0, 1, 2} for _, mask in written)


def test_frame_ends_with_a_mask_of_ids_on_the_host(clock, monkeypatch):
    seen = []
    honest = protocols.object_masks
    monkeypatch.setattr(protocols, "object_masks", lambda *given: seen.append(honest(*given)))
    result = frame(Timed(clock), SCENE, Limits(warmup=1, min_runs=4, max_runs=4))
    assert result.fps == pytest.approx(4 / 0.060)
    assert result.ms_first == pytest.approx(20)
    assert (result.ms_p90, result.ms_iqr) == (pytest.approx(20), pytest.approx(10))
    assert all(mask.dtype == np.uint8 and mask.shape == (64, 96) for mask in seen)
    assert set(np.unique(seen[0])) == {0, 1, 2}


def spy(base: type, seen: list, **options):
    """A small network that notes how many frames it reads, for how many objects, and its writes."""

    class Spy(base):
        def read(self, key16, key, value):
            seen.append((key.shape[-1] // key16[0, 0].numel(), len(value)))
            return super().read(key16, key, value)

        def encode_memory(self, *inputs):
            seen.append("write")
            return super().encode_memory(*inputs)

    return Spy(**options).eval()


def test_core_reads_the_memory_asked_for_and_writes_nothing():
    seen = []
    method = spy(STCN, seen, width=0.125)
    scene = Scene(height=64, width=96, objects=3, memory_frames=5)
    result = core(method, scene, Limits(warmup=1, min_runs=2, max_runs=2))
    assert seen == ["write", *[(5, 3)] * 4]  # the memory is made once, and tried, before the clock
    assert (result.frames, result.memory_frames, result.objects) == (2, 5, 3)


@pytest.mark.parametrize("name", ["stcn", "deaot_s"])
def test_core_runs_all_stages_but_the_last_each_from_what_the_one_before_gave(name, monkeypatch):
    """What the steps are is tested against what the method does in tests/methods/test_steps.py."""
    method, ran, last, honest = methods.create(name, width=0.125), [], {}, Step.run

    def run(step, values):
        ran.append(step.name)
        found = honest(step, values)
        assert all(values[name] is last[name] for name in step.inputs if name in last)
        last.update(found)
        return found

    def clock(work, device):
        last.clear()
        work()
        return 1.0

    monkeypatch.setattr(Step, "run", run)
    monkeypatch.setattr(protocols, "device_seconds", clock)
    result = core(method, SCENE, Limits(warmup=0, min_runs=2, max_runs=2))
    assert ran[-6:] == [*STEPS[:3]] * 2 and STEPS[3] not in ran
    assert result.ms_median == 1000


def test_frame_times_whole_write_cycles_of_a_full_memory():
    seen = []
    method = spy(STCN, seen, memory_every=3, width=0.125)
    result = frame(method, Scene(height=64, width=96, memory_frames=4), ONCE)
    assert seen == ["write", *[(4, 1)] * 3, "write"]
    assert (result.frames, result.memory_frames) == (3, 4)


def test_a_video_fills_the_memory_as_it_goes_on():
    method = methods.create("mobilevos_mnv2_no_aspp", width=0.25, queue_length=None)
    assert aot(method, SCENE).memory_frames == 4
    assert stcn(method, SCENE).memory_frames == 4


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "core"])
def test_a_method_without_a_network_is_timed_but_for_its_core(name):
    result = PROTOCOLS[name](CopyFirstMask(), SCENE, ONCE)
    assert isinstance(result, Timing)
    assert (result.protocol, result.memory_frames) == (name, 0)
    assert core(CopyFirstMask(), SCENE, ONCE) is None


def test_the_clip_moves_and_its_files_are_of_a_natural_size(tmp_path):
    frames = moving_texture(3, 480, 864)
    assert [f.shape for f in frames] == [(480, 864, 3)] * 3
    assert (frames[1][:, 3:] == frames[0][:, :-3]).all()
    sizes = [path.stat().st_size for path in write_frames(frames, tmp_path)]
    assert all(50_000 < size < 250_000 for size in sizes)  # DAVIS at 480p: about 100 kB


def test_states_of_the_sweep_that_are_alike_are_timed_once(monkeypatch):
    timed = []

    def fake(method, scene, limits):
        timed.append((scene.memory_frames, scene.objects))
        return SimpleNamespace(ms_median=float(len(timed)))

    monkeypatch.setattr(growth, "core", fake)
    method = methods.create("mobilevos_mnv2_no_aspp", width=0.25)
    assert method.policy == MemoryPolicy(every=1, capacity=2)
    found = core_sweep(method, Scene(objects=1), (1, 10, 30), (1, 2))
    assert timed == [(1, 1), (2, 1), (None, 1), (None, 2)]
    assert found["length"] == {"video_frames": [1, 10, 30], "core_ms": [1.0, 2.0, 2.0]}
    assert found["objects"] == {"objects": [1, 2], "core_ms": [3.0, 4.0]}
    assert core_sweep(CopyFirstMask(), Scene(), (1,), (1,)) is None


def configured(**changes) -> Conditions:
    overrides = [f"measure.{key}={value}" for key, value in changes.items()]
    return to_dataclass(load_config(["job=measure", *overrides]).measure, Conditions)


def test_the_default_settings_are_those_of_the_published_size():
    scene = configured().scene("cpu")
    assert (scene.height, scene.width, scene.objects, scene.frames) == (480, 864, 1, 11)
    assert configured().scene("cuda:0").frames == 70
    assert configured().scene("cpu", "aot").objects == 2
    check(configured(), "cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": "[fps]"}, "measure.protocols: unknown protocol 'fps'; known: core, frame"),
        ({"precision": "fp8"}, "measure.precision=fp8: choose one of fp32"),
        ({"frames": 1}, "measure.frames=1"),
        ({"height": 0}, "measure.height=0"),
        ({"object_counts": "[0,1]"}, r"measure.object_counts=\[0, 1\]"),
        ({"width": 3}, "measure.width=3: too narrow"),
        ({"threads": 0}, "measure.threads=0"),
    ],
)
def test_impossible_settings_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        check(configured(**changes), "cpu")


def test_an_option_that_the_device_cannot_do_gets_one_line(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("\nno C++ compiler found\nand much more")

    monkeypatch.setattr(torch, "compile", fail)
    line = "^measure.compile=true cannot work on cpu: no C[+][+] compiler found; leave it out$"
    with pytest.raises(ConfigError, match=line):
        check(configured(compile="true"), "cpu")
    monkeypatch.setattr(module, "autocast", fail)
    with pytest.raises(ConfigError, match="^measure.precision=fp16 cannot work on cpu: .*choose fp32$"):
        check(configured(precision="fp16"), "cpu")
    with pytest.raises(ConfigError, match="^measure.cuda_graphs=true cannot work on cpu"):
        check(configured(cuda_graphs="true"), "cpu")


def test_precision_and_layout_reach_the_network():
    seen = []

    class Spy(MobileVOS):
        def encode_query(self, frames):
            query = super().encode_query(frames)
            seen.append((query.f16.dtype, query.f16.is_contiguous(memory_format=torch.channels_last)))
            return query

    settings = configured(precision="bf16", channels_last="true")
    method = prepare(Spy("mobilenet_v2", aspp=False, width=0.25), settings, "cpu")
    with autocast(settings, "cpu"):
        core(method, SCENE, ONCE)
    assert set(seen) == {(torch.bfloat16, True)}


@pytest.mark.parametrize("name", ["mobilevos_mnv2_no_aspp", "deaot_s"])
def test_what_a_family_names_is_compiled_and_the_rest_is_not(name, monkeypatch):
    compiled, called = [], []

    def fake(function):
        compiled.append(function.__name__)
        return lambda *given: called.append(function.__name__) or function(*given)

    monkeypatch.setattr(torch, "compile", fake)
    settings = configured(compile="true")
    method = prepare(methods.create(name, width=0.25), settings, "cpu")
    assert not compiled
    aot(prepare(method, settings, "cpu", compiled=True), SCENE)
    assert tuple(compiled) == method.compiled_parts
    assert set(called) == set(compiled)


def test_a_network_without_known_parts_is_not_compiled():
    with pytest.raises(ConfigError, match="cannot compile a Conv2d"):
        prepare(torch.nn.Conv2d(1, 1, 1), configured(compile="true"), "cpu", compiled=True)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with threads(None):
        assert torch.get_num_threads() == before
