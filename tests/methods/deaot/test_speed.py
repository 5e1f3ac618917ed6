"""DeAOT's window attention against the dense masked product, one thread, timed in one run."""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from methods.deaot.window import window_readout, window_scores

RADIUS, KEY, VALUE, REPEATS = 7, 128, 1024, 7


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.benchmark_ratio
@pytest.mark.parametrize(("size", "least"), [((16, 28), 0.3), ((31, 55), 1.3)])
def test_the_window_is_quicker_than_the_whole_map(size, least, one_thread, capsys):
    """At the sizes of 240p and 480p video, timed in turns and by the quickest run.

    The small map is hardly larger than the window, so there it only must not cost much more.
    """
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, channels, *size, generator=generator).contiguous(memory_format=torch.channels_last)
        for channels in (KEY, KEY, VALUE)
    )
    bias = torch.randn(1, size[0] * size[1], (2 * RADIUS + 1) ** 2, generator=generator)
    near, offset = neighbours(size)

    def window() -> torch.Tensor:
        weights = (window_scores(query, key, RADIUS) + bias).softmax(2)
        return window_readout(weights, value, RADIUS)

    def dense() -> torch.Tensor:
        scores = query.flatten(2).transpose(1, 2) @ key.flatten(2) + bias.gather(2, offset)
        return scores.masked_fill(~near, -torch.inf).softmax(2) @ value.flatten(2).transpose(1, 2)

    with torch.inference_mode():
        torch.testing.assert_close(window(), dense(), atol=1e-4, rtol=0)
        times = [[seconds(work) for work in (window, dense)] for _ in range(REPEATS)]
    ours, theirs = np.min(times, axis=0)
    with capsys.disabled():
        print(f"\n{size}: window {1000 * ours:.1f} ms, dense {1000 * theirs:.1f} ms, ratio {theirs / ours:.1f}")
    assert theirs / ours >= least


def neighbours(size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pixels are in each other's window, bool (HW, HW), and the number of their offset, (1, HW, HW)."""
    y, x = (axis.flatten() for axis in torch.meshgrid(*map(torch.arange, size), indexing="ij"))
    dy, dx = y - y[:, None], x - x[:, None]
    near = (dy.abs() <= RADIUS) & (dx.abs() <= RADIUS)
    return near, ((dy + RADIUS) * (2 * RADIUS + 1) + dx + RADIUS).where(near, 0)[None]


def seconds(work: Callable) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
