"""What an NVIDIA GPU draws, its clock and what slows it down while something is timed, by nvidia-smi."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean

import torch

EVERY_MS = 50
SLOWDOWNS = {
    "clocks_throttle_reasons.hw_slowdown": "hardware slowdown",
    "clocks_throttle_reasons.sw_thermal_slowdown": "heat",
    "clocks_throttle_reasons.sw_power_cap": "power cap",
}
QUERY = ("power.draw", "clocks.sm", *SLOWDOWNS)


@dataclass
class GpuLoad:
    """Samples of the time watched, one every 50 ms; empty lists where nvidia-smi tells nothing."""

    watts: list[float] = field(default_factory=list)
    mhz: list[float] = field(default_factory=list)
    slowdowns: set[str] = field(default_factory=set)

    def facts(self, fps: float) -> dict:
        """Mean power, energy of a frame (of the whole card, idle share included), lowest and highest clock."""
        if not self.watts:
            return {}
        watts = fmean(self.watts)
        clocks = {"gpu_mhz_min": min(self.mhz), "gpu_mhz_max": max(self.mhz)} if self.mhz else {}
        return {"gpu_watts": watts, "joules_per_frame": watts / fps, **clocks}

    def warnings(self) -> list[str]:
        return [f"the GPU was slowed down meanwhile: {reason}" for reason in sorted(self.slowdowns)]


@contextmanager
def watch_gpu(device: str) -> Iterator[GpuLoad]:
    """Sample the GPU until the block ends; the result is filled then. Nothing happens for another device."""
    found, program = GpuLoad(), shutil.which("nvidia-smi")
    if not device.startswith("cuda") or program is None:
        yield found
        return
    # the name by which nvidia-smi knows a GPU, whatever CUDA_VISIBLE_DEVICES says
    place = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    wanted = [f"--id={place}", f"--query-gpu={','.join(QUERY)}", f"-lms={EVERY_MS}"]
    command = [program, *wanted, "--format=csv,noheader,nounits"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sampler:
        try:
            yield found
        finally:
            sampler.terminate()
            read_samples(sampler.communicate()[0], found)


def read_samples(text: str, into: GpuLoad) -> None:
    """Lines of nvidia-smi; a value that a GPU does not tell ("[N/A]") and a line cut short are left out."""
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) != len(QUERY):
            continue
        for value, samples in zip(values, (into.watts, into.mhz), strict=False):
            if value.replace(".", "", 1).isdigit():
                samples.append(float(value))
        reasons = zip(values[2:], SLOWDOWNS.values(), strict=True)
        into.slowdowns |= {reason for value, reason in reasons if value == "Active"}
