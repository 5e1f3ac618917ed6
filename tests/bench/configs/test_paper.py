"""scale=paper is what it says: STCN's losses, steps and curriculum, AOT's for DeAOT, and what a user asks for."""

from functools import cache

import pytest

from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.masks import Jaccard
from bench.plan.ablation import Data, plan_ablation
from bench.plan.compose import choices, load_config
from bench.system.errors import ConfigError

NODE = {"name": "x", "kind": "embedded", "fingerprint": "a"}
STAGES = Data(NODE, {**NODE, "name": "y"}, {stage: {**NODE, "name": stage} for stage in ("stage0", "stage1")})
BOOTSTRAPPED = PolyCrossEntropy(1.0, epsilon=0.0, share=0.15, start=20_000, end=70_000)


@cache
def planned(*overrides: str):
    """The last training of each row, by its label."""
    cells = plan_ablation(load_config(["scale=paper", "seeds=1", *overrides]), STAGES)
    return {cell.label: cell.network.training for cell in cells if cell.network.training}


def stages(training) -> list:
    return [*(stages(training.start) if training.start else []), training]


@pytest.mark.parametrize("label", ["stcn (teacher)", "labels only"])
def test_networks_learn_from_labels_by_stcns_loss_and_schedule_at_every_stage(label):
    found = stages(planned()[label])
    assert [training.schedule.steps for training in found] == [300_000, 500_000, 150_000]
    assert [training.schedule.drop_at * training.schedule.steps for training in found] == pytest.approx(
        [150_000, 400_000, 125_000], abs=10
    )
    assert [training.schedule.max_objects for training in found] == [1, 2, 2]
    assert {training.schedule.clip_grad for training in found} == {None}
    assert all(set(training.recipe.losses) == {"poly_ce"} for training in found)
    # The poly term of students, in the last stage, is MobileVOS's.
    epsilons = [0.0, 0.0, 1.0 if label == "labels only" else 0.0]
    for training, epsilon in zip(found, epsilons, strict=True):
        assert vars(training.recipe.losses["poly_ce"]) == {**vars(BOOTSTRAPPED), "epsilon": epsilon}


def test_students_keep_what_they_learn_from_the_teacher():
    usual = plan_ablation(load_config(["scale=gpu", "seeds=1"]), STAGES)[-1].network.training.recipe.losses
    losses = dict(planned()["distilled"].recipe.losses)
    assert losses.pop("poly_ce").share == 0.15
    assert losses == {name: loss for name, loss in usual.items() if name not in ("poly_ce", "dice")}


def test_every_row_of_losses_learns_so_from_labels():
    recipes = {label: training.recipe.losses for label, training in planned("ablation=losses").items()}
    on_labels = {label: losses for label, losses in recipes.items() if label not in ("decoupled", "stcn (teacher)")}
    assert len(on_labels) > 5
    assert all("dice" not in losses and losses["poly_ce"].start == 20_000 for losses in on_labels.values())
    assert set(recipes["decoupled"]) == {"decoupled"}


def test_other_losses_are_had_by_asking():
    assert planned("recipe.dice.weight=2")["distilled"].recipe.losses["dice"].weight == 2
    assert planned("recipe=aot")["distilled"].recipe.losses["poly_ce"].end == 0.5
    assert planned("recipe=unofficial")["distilled"].recipe.losses["poly_ce"].share == 1
    assert planned("scale.student.clip_grad=2")["distilled"].schedule.clip_grad == 2


@pytest.mark.parametrize("scale", [name for name in choices("scale") if name != "paper"])
def test_other_scales_clip_and_look_at_all_pixels(scale):
    cells = plan_ablation(load_config([f"scale={scale}", "seeds=1"]), Data(NODE, NODE))
    for training in filter(None, (cell.network.training for cell in cells)):
        assert training.schedule.clip_grad == 1
        assert {"poly_ce", "dice"} <= set(training.recipe.losses) and training.recipe.losses["poly_ce"].share == 1


def test_deaot_learns_from_labels_as_aot_does():
    for training in stages(planned("ablation=attention")["r50_deaot_l (teacher)"]):
        assert training.recipe.losses == {
            "poly_ce": PolyCrossEntropy(0.5, epsilon=0.0, share=0.15, start=0.0, end=0.5),
            "jaccard": Jaccard(0.5),
        }
        assert (training.schedule.clip_grad, training.schedule.max_objects) == (5, 10)


@pytest.mark.parametrize("ablation", ["attention", "attention_map", "lambda", "kd"])
def test_students_of_deaot_see_no_label_at_any_stage(ablation):
    rows = dict(planned(f"ablation={ablation}"))
    teacher = rows.pop("r50_deaot_l (teacher)")
    by_labels = stages(rows.pop("labels")) if ablation == "kd" else []
    assert rows
    for training in (stage for row in rows.values() for stage in stages(row)):
        assert training.recipe.labels == "teacher" and training.teacher.training == teacher
    assert all((each.recipe.labels, each.teacher) == ("truth", None) for each in by_labels)


def test_they_see_labels_where_these_are_asked_for():
    early, middle, last = stages(planned("ablation=attention", "stage_recipe=supervised")["deformable attention"])
    assert [(each.recipe.labels, each.teacher) for each in (early, middle)] == [("truth", None)] * 2
    assert last.recipe.labels == "teacher"
    (*_, last) = stages(planned("ablation=attention", "recipe=aot")["deformable attention"])
    assert (last.recipe.labels, last.teacher) == ("truth", None)


def test_a_norm_to_clip_to_is_above_0_or_none():
    with pytest.raises(ConfigError, match=r"scale.student.clip_grad=0.*: give a number above 0 or null"):
        load_config(["scale.student.clip_grad=0"])
