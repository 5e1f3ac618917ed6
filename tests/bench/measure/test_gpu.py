"""What nvidia-smi says becomes watts, joules a frame and warnings."""

import pytest

from bench.measure.gpu import GpuLoad, read_samples, watch_gpu

TEXT = """\
100.00, 1410, Not Active, Not Active, Not Active
140.00, 1980, Not Active, Not Active, Active
[N/A], [N/A], Not Active, Not Active, Not Active
160.0
"""


def test_energy_of_a_frame_is_mean_power_over_frames_per_second():
    load = GpuLoad()
    read_samples(TEXT, load)
    assert load.facts(fps=60) == {
        "gpu_watts": 120,
        "joules_per_frame": pytest.approx(2.0),
        "gpu_mhz_min": 1410,
        "gpu_mhz_max": 1980,
    }
    assert load.warnings() == ["the GPU was slowed down meanwhile: power cap"]


def test_a_processor_has_no_gpu_to_watch():
    with watch_gpu("cpu") as load:
        pass
    assert load.facts(fps=60) == {}
    assert load.warnings() == []
