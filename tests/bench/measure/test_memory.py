"""Peak memory against what is alive by hand, and in which state of a method it is measured."""

import pytest
import torch
from torch import nn

import methods
from bench.measure import full_size as module
from bench.measure.full_size import full_size
from bench.measure.memory import MIB, measure_memory, peak_memory_mb
from bench.measure.scene import Scene
from bench.plan.ablation import Network
from bench.system.errors import ConfigError
from bench.system.files import read_json, write_json
from methods.copy_first_mask import CopyFirstMask

SMALL = {"height": 64, "width": 96}


def mib(count: int = 1) -> torch.Tensor:
    """A float tensor of `count` MiB."""
    return torch.zeros(count, 512, 512)


def repeat(function, x, times):
    for _ in range(times):
        x = function(x)
    return x


def test_a_matrix_product_is_its_operands_and_its_result():
    a, b = torch.rand(300, 500), torch.rand(500, 70)
    peak = peak_memory_mb(lambda: a @ b, kept=[a, b])
    assert peak == (300 * 500 + 500 * 70 + 300 * 70) * 4 / MIB


def test_what_a_chain_no_longer_needs_is_free_again():
    x = mib()
    assert peak_memory_mb(lambda: repeat(torch.exp, x, 5)) == 2
    assert peak_memory_mb(lambda: [x.exp() for _ in range(5)]) == 5


def test_the_worst_moment_counts_not_the_last():
    assert peak_memory_mb(lambda: (mib(7).sum(), mib(2))) == pytest.approx(7, abs=1e-4)


def test_in_place_operations_and_views_add_nothing():
    x = mib()
    assert peak_memory_mb(lambda: repeat(torch.exp_, x, 3)) == 0
    assert peak_memory_mb(lambda: x.view(-1)[5:].reshape(1, -1).expand(9, -1)) == 0
    assert peak_memory_mb(lambda: x.exp().neg_().view(-1)) == 1


def test_kept_tensors_that_share_memory_count_once():
    x, y = mib(3), mib(2)
    assert peak_memory_mb(lambda: None, kept=[x, x[0], x.flatten(), y, y]) == 5


def test_what_was_there_before_and_is_not_kept_never_counts():
    old = [mib(4)]
    assert peak_memory_mb(lambda: (old.clear(), mib(3))) == 3
    assert not old


def test_it_is_the_same_each_time():
    # Addresses are used again: what one measurement left behind must not disturb the next.
    left = []
    peaks = {peak_memory_mb(lambda: (left.clear(), left.append(mib(2)), mib().exp())) for _ in range(5)}
    assert peaks == {4}


def test_inference_mode_and_what_gradients_need():
    x = mib().requires_grad_()
    assert peak_memory_mb(lambda: repeat(torch.exp, x, 5)) == 5  # exp keeps its result for the way back
    with torch.inference_mode():
        assert peak_memory_mb(lambda: repeat(torch.exp, x, 5)) == 2


def test_the_profiler_is_silent(capfd):
    peak_memory_mb(mib)
    assert capfd.readouterr() == ("", "")


def test_scratch_space_inside_an_operator_counts():
    # float64 has no oneDNN convolution: torch unfolds the image, each pixel with its 9 neighbours, and multiplies.
    image, kernel = torch.rand(1, 4, 66, 66).double(), torch.rand(8, 4, 3, 3).double()
    unfolded, result = 4 * 9 * 64 * 64 * 8 / MIB, 8 * 64 * 64 * 8 / MIB
    peak = peak_memory_mb(lambda: torch.nn.functional.conv2d(image, kernel))
    assert unfolded + result <= peak < 1.1 * (unfolded + result)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    a, b, other = (torch.rand(512, 512, device="cuda") for _ in range(3))
    assert peak_memory_mb(lambda: a + b, "cuda", kept=[a, b]) == 3
    assert peak_memory_mb(lambda: repeat(torch.exp, other, 5), "cuda") == 2
    method = methods.create("mobilevos_mnv2", width=0.25)
    assert measure_memory(method, Scene(**SMALL, device="cuda")) > 0


class Layer(nn.Module):
    """A method whose weights take 2 MiB, buffers included, and a step 3 MiB more."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(mib())
        self.tied = self.weight
        self.register_buffer("statistics", mib())

    def start(self, frame, mask):
        self.started = mib(10)

    def step(self, frame):
        return mib(3)


def test_weights_and_buffers_count_and_what_the_start_needed_does_not():
    assert measure_memory(Layer(), Scene(**SMALL)) == 2 + 3


def test_a_method_without_weights():
    peak = measure_memory(CopyFirstMask(), Scene(**SMALL, objects=3))
    assert peak == (3 + 1) * 64 * 96 * 4 / MIB


def student(**options):
    return methods.create("mobilevos_mnv2_no_aspp", width=0.25, **options)


def test_the_memory_is_at_capacity_unless_told_otherwise():
    peaks = [measure_memory(student(queue_length=9), Scene(**SMALL, memory_frames=n)) for n in (1, 5, 9)]
    assert peaks[0] < peaks[1] < peaks[2] == measure_memory(student(queue_length=9), Scene(**SMALL))


def test_an_unbounded_memory_holds_eight_frames():
    unbounded = student(queue_length=None)
    assert measure_memory(unbounded, Scene(**SMALL)) == measure_memory(student(queue_length=8), Scene(**SMALL))


def test_a_frame_that_is_written_to_memory_is_among_those_measured():
    class WriteHeavy(methods.mobilevos.network.MobileVOS):
        def encode_memory(self, *inputs):
            mib(50)
            return super().encode_memory(*inputs)

    method = WriteHeavy("mobilenet_v2", aspp=False, width=0.25, write_rule="first+every", memory_every=3)
    assert 50 < measure_memory(method, Scene(**SMALL)) < 60


def test_the_method_is_left_as_it_was():
    method = student().train()
    method.start(torch.rand(3, 32, 32), 7 * torch.ones(32, 32, dtype=torch.long))
    measure_memory(method, Scene(**SMALL))
    assert method.training
    assert method.object_ids == [7]
    assert method.memory_frames == 1


@pytest.mark.parametrize(
    ("arguments", "message"), [({"memory_frames": 3}, "memory_frames=3 do not fit"), ({"objects": 0}, "objects=0")]
)
def test_impossible_settings_are_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        measure_memory(student(), Scene(**SMALL, **arguments))


@pytest.fixture
def measured(monkeypatch) -> list[str]:
    """Which measurements `full_size` makes; they take no time here."""
    calls = []

    def fake(field):
        return lambda method, device: calls.append(field) or {field: f"{field} {len(calls)}"}

    monkeypatch.setattr(module, "MEASURES", {field: fake(field) for field in module.MEASURES})
    return calls


NETWORK = Network("mobilevos_mnv2", {"width": 0.25})
ALWAYS = ["params_m_full", "latency_ms_median_full", "memory_mb_peak_full"]


def test_full_size_measures_growth_only_when_asked_and_nothing_twice(measured, tmp_path):
    first = full_size(NETWORK, tmp_path, "cpu")
    assert measured == list(first) == ALWAYS
    with_growth = full_size(NETWORK, tmp_path, "cpu", [*module.VIDEO, "growth_full"])
    assert measured == [*ALWAYS, "growth_full"]
    assert with_growth == {**first, "growth_full": "growth_full 4"}
    assert full_size(NETWORK, tmp_path, "cpu") == first
    assert full_size(NETWORK, tmp_path, "cpu", [*module.VIDEO, "growth_full"]) == with_growth
    assert len(measured) == 4


def test_full_size_completes_the_file_of_an_older_version(measured, tmp_path):
    full_size(NETWORK, tmp_path, "cpu")
    (path,) = (tmp_path / "measured").glob("*.json")
    old = {"params_m_full": 2.5, "gmacs_full": 7.0, "latency_ms_median_full": 80.0}
    write_json(path, old)
    measured.clear()
    completed = full_size(NETWORK, tmp_path, "cpu")
    assert measured == ["memory_mb_peak_full"]
    assert completed == {**old, "memory_mb_peak_full": "memory_mb_peak_full 1"} == read_json(path)


def test_full_size_of_a_baseline_is_nothing(measured, tmp_path):
    assert full_size(Network("copy_first_mask", {}), tmp_path, "cpu", [*module.VIDEO, "growth_full"]) == {}
    assert not measured
