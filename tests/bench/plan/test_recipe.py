"""Recipes of a configuration: which words they may use, and what makes two of them one."""

import pickle
from dataclasses import dataclass, field, make_dataclass, replace

import pytest

from bench.losses.cross_entropy import PolyCrossEntropy
from bench.losses.logits import Logits
from bench.losses.masks import Dice
from bench.losses.pixels import Sampling
from bench.plan import cells
from bench.plan.cells import Cell, Network, Training
from bench.plan.compose import load_config, to_recipe, with_override
from bench.plan.recipe import Recipe, Schedule, differences
from bench.system.errors import ConfigError

SUPERVISED = Recipe.of(PolyCrossEntropy(), Dice(1.0))
SCHEDULE = Schedule()


@pytest.mark.parametrize(
    ("override", "known"),
    [
        ("recipe.logits.pixels=bondary", "all, boundary"),
        ("recipe.sampling.pixels=bondary", "random, boundary, uncertainty, all"),
        ("recipe.representation.normalizer=m", "n, n2"),
        ("recipe.labels=nobody", "truth, teacher"),
        ("recipe.rest=frosen", "own, teacher, frozen"),
        ("recipe.attention.measure=mse", "cka, kl"),
        ("teacher.recipe.logits.pixels=bondary", "all, boundary"),
        ("stage_recipe.sampling.pixels=bondary", "random, boundary, uncertainty, all"),
        ("scale.student.decay=cosinus", "cosine, poly, step"),
        ("scale.teacher.precision=fp16", "fp32, bf16"),
        ("scale.student.embeddings=bf16", "fp32, fp16"),
        ("scale.stage0.student.decay=cosinus", "cosine, poly, step"),
    ],
)
def test_a_word_that_a_setting_does_not_know_is_told_when_a_configuration_is_composed(override, known):
    key, _, value = override.partition("=")
    with pytest.raises(ConfigError, match=f"unknown {key} '{value}'; known: {known}"):
        load_config([override])
    with pytest.raises(ConfigError, match=f"unknown {key} '{value}'; known: {known}"):
        with_override(load_config([]), key, value)


@pytest.mark.parametrize(
    "rows",
    [
        "+ablation.cells.wrong={recipe.logits.pixels: bondary}",
        "+ablation.cells.wrong={recipe: {logits: {pixels: bondary}}}",
        "+ablation.sweep={recipe.logits.pixels: [all, bondary]}",
    ],
)
def test_so_is_one_in_a_row_of_an_ablation(rows):
    with pytest.raises(ConfigError, match="unknown recipe.logits.pixels 'bondary'; known: all, boundary"):
        load_config(["ablation=distillation", rows])


def test_a_recipe_is_its_losses_with_weight():
    recipe = to_recipe(load_config(["recipe=mobilevos", "recipe.dice.weight=0"]).recipe)
    assert set(recipe.losses) == {"poly_ce", "representation", "logits"}
    assert recipe.losses["logits"] == Logits(0.04, temperature=0.1, pixels="all")
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_a_configuration_goes_to_another_process():
    config = load_config(["recipe=mobilevos"])
    assert pickle.loads(pickle.dumps(config)) == config


def training(recipe: Recipe = SUPERVISED, schedule: Schedule = SCHEDULE) -> Training:
    return Training("mobilevos_r18", {}, recipe, schedule, {"name": "x", "fingerprint": "a"}, 0)


def test_a_key_holds_what_is_used_alone():
    assert training(Recipe.of(PolyCrossEntropy(), Dice(1.0), Logits(0.0, temperature=4.0))).key == training().key
    assert training(replace(SUPERVISED, name="another")).key == training().key
    assert training(Recipe.of(PolyCrossEntropy(), Dice(2.0))).key != training().key
    assert training(replace(SUPERVISED, sampling=Sampling("all"))).key != training().key
    assert training(schedule=Schedule(steps=7)).key != training().key


def test_a_new_setting_at_its_default_changes_no_key():
    richer = make_dataclass("Dice", [("smoothing", float, field(default=1.0))], bases=(Dice,))
    recipe = Recipe.of(PolyCrossEntropy(), richer(1.0))
    assert training(recipe).key == training().key
    assert training(Recipe.of(PolyCrossEntropy(), richer(1.0, smoothing=0.5))).key != training().key
    longer = make_dataclass("Longer", [("patience", int, field(default=3))], bases=(Schedule,))
    assert training(schedule=longer(steps=7)).key == training(schedule=Schedule(steps=7)).key


def test_differences_go_into_what_is_nested():
    @dataclass
    class Inner:
        one: int = 1
        two: int = 2

    @dataclass
    class Outer:
        inner: Inner = field(default_factory=Inner)
        plain: str = "a"

    assert differences(Outer()) == {}
    assert differences(Outer(Inner(two=3))) == {"inner": {"two": 3}}


def test_evaluating_anew_trains_nothing_anew(monkeypatch):
    """A new version of one is no new version of the other."""

    def keys() -> tuple[str, str]:
        cell = Cell("x", Network("mobilevos_r18", training=training()), {"name": "y", "fingerprint": "b"}, 0)
        return cell.network.training.key, cell.key

    before = keys()
    monkeypatch.setattr(cells, "EVALUATION_VERSION", -1)
    evaluated = keys()
    assert evaluated[0] == before[0] and evaluated[1] != before[1]
    monkeypatch.setattr(cells, "TRAINING_VERSION", -1)
    trained = keys()
    assert trained[0] != before[0] and trained[1] != evaluated[1]
