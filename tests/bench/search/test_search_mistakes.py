"""What a user gets wrong about a search is told in one line, before anything is trained."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from bench.search.space import Dimension, read_space
from bench.system.errors import ConfigError

pytest.importorskip("optuna")
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"flaot": [0, 1]}, "x: .* is no distribution; give {float"),
        ({"float": [0, 1], "int": [0, 1]}, "is no distribution"),
        ({"float": [0, 1], "step": 2}, "is no distribution"),
        (3, "is no distribution"),
        ({"float": [1, 0]}, r"must be \[low, high\]"),
        ({"float": [0, "a"]}, r"must be \[low, high\]"),
        ({"int": [0, 1.5]}, r"must be \[low, high\]"),
        ({"float": [0, 1], "log": True}, "a low above 0"),
        ({"choice": []}, "a list of plain values"),
        ({"choice": [[1], [2]]}, "a list of plain values"),
        ({"choice": [1, 2], "log": True}, "is no distribution"),
    ],
)
def test_what_is_no_distribution_is_told_with_its_key(node, message):
    with pytest.raises(ConfigError, match=f"search.space: x: .*{message}|{message}"):
        read_space({"x": node})


def test_the_ends_of_a_range_and_the_choices_are_read():
    space = {"a": {"float": [0, 1]}, "b": {"int": [1, 8], "log": True}, "c": {"choice": ["x", None]}}
    assert read_space(space) == [
        Dimension("a", "float", 0, 1),
        Dimension("b", "int", 1, 8, log=True),
        Dimension("c", "choice", choices=("x", None)),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+search.space={recipe.representation.omgea: {float: [0, 1]}}"], "omgea"),
        (["+search.space={scale.student.steps: {float: [0.5, 1.5]}}"], "scale.student.steps=0.5.*Integer"),
        (["+search.space={training.hold_out: {float: [0.1, 0.3]}}"], "training.hold_out: .* no difference"),
        (["+search.space={recipe.dice.weight: 3}"], "recipe.dice.weight: 3 is no distribution"),
        (["search.sampler=tep"], "search.sampler: unknown 'tep'; known: tpe, nsga2, random, grid"),
        (["search.pruner=media"], "search.pruner: unknown 'media'; known: median, hyperband, none"),
        (["search.objectives=[latency]"], "search.objectives=latency: give jf"),
        (["search.objectives=[jf,speed]"], "unknown 'speed'; known: jf, latency, gmacs, params, memory"),
        (["search.sampler=grid"], "search.sampler=grid tries all .* recipe.representation.omega has no end"),
        (["search.trials=0"], "search.trials=0: give a whole number of at least 1"),
        (["search.trials=many"], "search.trials=many: give a whole number"),
        (["workers=0"], "workers=0"),
        (["training.hold_out=0"], "search 'mobilevos' is picked on held-out training data"),
        (["search.storage=redis://x/y"], "search.storage=redis://x/y: give sqlite"),
        (["search.storage=sqlite://"], "search.storage=sqlite://: give sqlite"),
        (["search.storage=sqlite:////nowhere/x.db"], "search.storage=.* cannot be reached: .*unable to open"),
    ],
)
def test_a_mistake_is_told_in_one_line(arguments, message, tiny_run, capsys):
    start = ["~search.space"] if arguments[0].startswith("+search.space") else []
    assert tiny_run("job=search", *start, *arguments) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line
    assert not list(tiny_run.runs.glob("trained/*"))


def test_a_server_that_does_not_answer_is_told_without_the_password(tiny_run, capsys):
    pytest.importorskip("psycopg")
    code = tiny_run("job=search", "search.storage=postgresql+psycopg://me:secret@127.0.0.1:1/x")
    assert code == 2
    told = capsys.readouterr().err
    assert "search.storage=postgresql+psycopg://me:***@127.0.0.1:1/x cannot be reached" in told
    assert "secret" not in told


def test_without_optuna_the_extra_is_named(tiny_run, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert tiny_run("job=search") == 2
    assert "pip install -e '.[search]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: .*No such file"),
        ("recipe: {dice: {weight: 1}}", "dotted.key: value"),
        ("- a", "dotted.key: value"),
        ("recipe.dice.wieght: 1", "did you mean 'recipe.dice.weight'"),
    ],
)
def test_a_wrong_file_of_overrides_is_told(content, message, tmp_path):
    from bench.plan.compose import load_config

    if content is not None:
        (tmp_path / "best.yaml").write_text(content)
    with pytest.raises(ConfigError, match=message):
        load_config([f"overrides={tmp_path}/best.yaml"])


def test_what_the_command_line_says_after_a_file_of_overrides_holds(tmp_path):
    from bench.plan.compose import load_config

    values = {"recipe.dice.weight": 1e-05, "recipe.sampling.pixels": "all", "options.queue_length": None}
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(values))
    config = load_config([f"overrides={tmp_path}/best.yaml", "recipe.sampling.count=7"])
    assert config.recipe.dice.weight == 1e-05
    assert (config.recipe.sampling.pixels, config.recipe.sampling.count) == ("all", 7)
    assert config.options == {"queue_length": None}
    assert load_config([f"overrides={tmp_path}/best.yaml", "recipe.dice.weight=2"]).recipe.dice.weight == 2


def test_the_spaces_of_the_suite_and_of_the_docs_are_spaces():
    from bench.plan.compose import CONFIGS

    text = re.search(r"```yaml\n(.*?)```", (ROOT / "docs/search.md").read_text(), re.DOTALL).group(1)
    texts = [text, *(path.read_text() for path in (CONFIGS / "search").glob("*.yaml"))]
    assert len(texts) > 1
    for content in map(yaml.safe_load, texts):
        assert [dimension.key for dimension in read_space(content["space"])] == list(content["space"])
