"""How much of a gradient each loss makes: closed forms, and a training's own record of it."""

import json

import pytest
import torch
from torch import nn

from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.logits import Logits
from bench.losses.masks import Dice
from bench.train.shares import LOOKS, gradient_shares, is_measured, typical_shares


def test_a_share_is_a_norm_over_that_of_the_losses_on_labels_together():
    """Of linear losses the gradients are known: (3, 0) and (0, 4) of those on labels and, weighted, (1, 1)."""
    x = nn.Parameter(torch.zeros(2))
    found = {"poly_ce": 3 * x[0], "dice": 2 * x[1], "logits": 10 * x.sum(), "total": x.sum()}
    losses = {"poly_ce": PolyCrossEntropy(weight=1.0), "dice": Dice(weight=2.0), "logits": Logits(weight=0.1)}
    (share,) = gradient_shares(losses, found, [x]).values()
    assert float(share) == pytest.approx(2**0.5 / 5)


def test_without_labels_it_is_over_the_norm_of_all():
    x, frozen = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.ones(1), requires_grad=False)
    shares = gradient_shares({"logits": Logits(weight=0.5)}, {"logits": (frozen * x).sum()}, [x, frozen])
    assert float(shares["share_logits"]) == pytest.approx(1.0)


def test_labels_alone_have_no_share():
    x = nn.Parameter(torch.ones(1))
    assert gradient_shares({"poly_ce": PolyCrossEntropy()}, {"poly_ce": x.sum()}, [x]) == {}


@pytest.mark.parametrize(("steps", "measured"), [(3, 3), (5, 5), (100, LOOKS), (1001, LOOKS)])
def test_it_is_measured_at_a_few_steps(steps, measured):
    assert sum(is_measured(step, steps) for step in range(steps)) == measured


def test_a_curve_has_the_median_along_the_training():
    curve = [
        {"step": 0, "share_dice": 1.0},
        {"step": 1},
        {"step": 2, "share_dice": 3.0},
        {"step": 3, "share_dice": 9.0},
    ]
    assert typical_shares(curve) == {"dice": 3.0}


def test_a_record_of_a_training_has_the_shares_of_its_losses(tiny_run):
    assert tiny_run("ablation=distillation", "seeds=[0]") == 0
    shares = {record.label: json.loads(record.loss_shares or "{}") for record in tiny_run.records}
    assert set(shares["distilled"]) == {"representation", "logits"}
    assert shares["labels only"] == shares["copy_first_mask"] == {}
    assert all(value > 0 for value in shares["distilled"].values())
