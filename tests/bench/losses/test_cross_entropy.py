"""Which pixels bootstrapped cross-entropy counts, and when."""

from types import SimpleNamespace

import pytest
import torch

from bench.losses.base import Seen
from bench.losses.cross_entropy import PolyCrossEntropy

STEPS = 150_000


def loss_at(step: int, loss: PolyCrossEntropy, steps: int = STEPS) -> float:
    """Of two frames of 20 pixels, in each of which a pixel of its own is wrong."""
    logits = torch.zeros(1, 2, 2, 4, 5)  # (B, T - 1, K + 1, H, W): the loss of a pixel is log 2 or
    logits[:, 0, 1, 0, 0] = logits[:, 1, 1, 3, 4] = 50.0  # 50
    seen = Seen(SimpleNamespace(logits=logits), target=torch.zeros(1, 2, 4, 5, dtype=torch.int64), steps=steps)
    seen.progress = step / steps
    total, count = loss.sums(seen)
    assert count == 2
    return float(total / count)


def test_the_share_of_pixels_falls_between_two_steps_however_long_the_stage_is():
    """As in STCN: all to step 20K, the hardest 15 % from 70K, between these a straight line."""
    bootstrapped = PolyCrossEntropy(epsilon=0.0, share=0.15, start=20_000, end=70_000)
    half, counted = 0.6931, {0: 20, 19_999: 20, 20_000: 20, 45_000: 11, 70_000: 3, 149_999: 3}
    for steps in (STEPS, 300_000):
        for step, pixels in counted.items():
            assert loss_at(step, bootstrapped, steps) == pytest.approx((50 + half * (pixels - 1)) / pixels, 1e-4)


def test_shares_of_a_stage_give_the_same_as_its_steps():
    shares = PolyCrossEntropy(epsilon=0.0, share=0.15, start=20 / 150, end=70 / 150)
    steps = PolyCrossEntropy(epsilon=0.0, share=0.15, start=20_000, end=70_000)
    for step in (10_000, 30_000, 60_000, 100_000):
        assert loss_at(step, shares) == pytest.approx(loss_at(step, steps))
    assert loss_at(5, PolyCrossEntropy(share=0.15, start=0.0, end=1.0), 10) > loss_at(0, PolyCrossEntropy(), 10)
