"""How much memory a frame needs, in steady state."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from bench.measure.scene import Scene, started_copy, steady_memory_frames
from methods.interface import Method, Remembering

MIB = 2**20


def peak_memory_mb(
    compute: Callable[[], object], device: str | torch.device = "cpu", kept: Iterable[Tensor] = ()
) -> float:
    """Memory in use at the worst moment of `compute()`, in 2^20 bytes.

    Counted is what torch's allocator hands out from the call on, scratch space of its operators included, and
    the storages of the `kept` tensors (weights, inputs), which were there before; a shared storage counts
    once. Not counted: other tensors that were there before, and what cuDNN's and oneDNN's own allocators take.

    On CUDA these are torch's own peak statistics, in blocks of 512 bytes. On the CPU, torch's profiler notes
    every allocation and release of the calling thread.
    """
    device = torch.device(device)
    before = sum({(s := tensor.untyped_storage()).data_ptr(): s.nbytes() for tensor in kept}.values())
    peak = _peak_on_cuda(compute, device) if device.type == "cuda" else _peak_on_cpu(compute)
    return (before + peak) / MIB


def measure_memory(method: Method, scene: Scene) -> float:
    """Peak memory of `method.step` in 2^20 bytes, weights and remembered frames included.

    The state is that of the protocol `step`: a frame of noise, the memory as full as the scene says. It is the
    worst frame of a whole write cycle, as a frame that is written to the memory may need more than the others. The
    method itself is left as it was.
    """
    method, frame = started_copy(method, scene)
    weights = [*method.parameters(), *method.buffers()] if isinstance(method, nn.Module) else []
    if not isinstance(method, Remembering):
        return peak_memory_mb(lambda: method.step(frame), scene.device, weights)
    stored = steady_memory_frames(method.policy, scene.memory_frames)

    method.fill_memory(0)  # what the measured part released of the start would be taken for its own on CUDA

    def write_cycle() -> None:
        method.fill_memory(stored)  # in here, so that the remembered frames are counted
        for _ in range(method.policy.every):
            method.step(frame)

    return peak_memory_mb(write_cycle, scene.device, weights)


def _peak_on_cuda(compute: Callable[[], object], device: torch.device) -> int:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    compute()
    return torch.cuda.max_memory_allocated(device) - before


def _peak_on_cpu(compute: Callable[[], object]) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # otherwise the profiler writes its start and stop to stderr
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        compute()
    with TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    alive: dict[int, int] = {}  # address -> bytes
    total = peak = 0
    for event in sorted((e for e in events if e["name"] == "[memory]"), key=lambda e: e["ts"]):
        address, change = event["args"]["Addr"], event["args"]["Bytes"]
        if change > 0:
            alive[address] = change
        # The release of an older block is skipped: it is not among what was counted.
        total += change if change > 0 else -alive.pop(address, 0)
        peak = max(peak, total)
    return peak
