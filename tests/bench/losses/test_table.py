"""What the table of losses says of each of them."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench.losses.base import Loss, Prompted, Reads, Seen, counted, table
from bench.losses.decoupled import Decoupled
from bench.losses.hint import Hint
from bench.losses.logits import Logits
from bench.losses.masks import Dice, Masks
from bench.plan.recipe import Recipe
from bench.train.learner import make_projectors, weighted


def test_no_loss_needs_torch_before_it_is_computed():
    code = "import sys, bench.losses; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[3])


@pytest.mark.parametrize("name", table())
def test_every_loss_has_its_name_and_is_not_used_by_default(name):
    loss = table()[name]()
    assert loss.name == name and loss.reads
    assert loss.weight == (1 if name == "poly_ce" else 0)  # a recipe that says nothing learns from labels


def test_what_a_recipe_needs_follows_from_what_its_losses_read():
    assert not Recipe.of(Dice(1.0), Masks(1.0)).needs_teacher
    assert Recipe.of(Dice(1.0), Hint(1.0)).needs_teacher and Recipe.of(Logits(1.0)).needs_teacher
    assert not Recipe.of(Dice(1.0), Hint(0.0)).needs_teacher
    assert Reads.ANSWERS in Recipe.of(Hint(1.0), Dice(1.0)).reads
    assert Reads.ANSWERS not in Recipe.of(Hint(1.0)).reads


def test_only_losses_that_count_have_a_projector():
    made = make_projectors(Recipe.of(Dice(1.0), Hint(1.0)).losses, 3, 5)
    assert set(made) == {"hint"} and made["hint"].weight.shape == (5, 3)
    assert not len(make_projectors(Recipe.of(Dice(1.0)).losses, 3, 0))


def test_a_mean_is_of_what_counts_alone():
    values, mask = torch.tensor([1.0, 2.0, 30.0]), torch.tensor([True, True, False])
    assert counted(values, mask) == (3, 2)
    assert counted(values) == (33, 3)


class Given(Loss):
    name, reads = "given", Reads.ANSWERS

    def sums(self, seen):
        return counted(seen.student)


class HalfOfTwo(SimpleNamespace):
    """This process and one like it, which has five more things whose loss is 0."""

    def share(self, count):
        return 2 * count / (count + 5)


def test_a_loss_is_its_sum_by_its_count_over_all_ranks():
    """The mean over both ranks of what they get is the mean over the things of both."""
    values = torch.tensor([3.0, 4.0, 5.0])
    assert weighted({"given": Given(2.0)}, Seen(values)) == {"given": 4, "total": 8}
    found = weighted({"given": Given(2.0)}, Seen(values), HalfOfTwo())
    assert (found["given"] + 0) / 2 == pytest.approx(12 / 8)


def test_nothing_to_learn_from_costs_nothing():
    empty = torch.zeros(0, requires_grad=True)
    assert weighted({"given": Given(1.0)}, Seen(empty))["total"] == 0


def test_losses_of_images_are_those_of_their_embeddings_and_masks():
    student, teacher = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    sure = torch.full((1, 1, 2, 8, 8), 20.0)
    sure[:, :, 1] *= -1  # the second answer to the prompt is as wrong as can be
    target = torch.ones(1, 1, 1, 8, 8, dtype=torch.bool)
    asked = Prompted(sure, torch.tensor([[[1.0, 0.5]]]), target, torch.ones(1, 1, 1, 8, 8, dtype=torch.bool))
    seen = Seen(student, teacher, prompted=[asked])
    recipe = Recipe.of(Decoupled(2.0), Masks(1.0, predicted_iou=4.0))
    found = weighted(recipe.losses, seen)
    assert found["decoupled"] == 1
    assert found["masks"] == pytest.approx(0, abs=1e-3)
    assert found["predicted_iou"] == pytest.approx(0.5**2 / 2)  # IoUs 1 and 0
    assert found["total"] == pytest.approx(2 + 4 * 0.125, abs=1e-3)


def test_the_last_steps_of_images_have_losses_of_their_own():
    recipe = Recipe.of(Decoupled(1.0), Masks(predicted_iou=0.5), finetune=0.2)
    assert set(recipe.losses) == {"decoupled"}
    assert recipe.finetuning == {"masks": Masks(1.0, 0.5)}
    assert not Recipe.of(Decoupled(1.0), Masks()).finetuning
