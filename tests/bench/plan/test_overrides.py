"""What the texts of a command line and of files of overrides may hold: nothing of them is looked up elsewhere."""

import os
import time

import pytest
import yaml
from generated import OFTEN
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.__main__ import main
from bench.plan.compose import load_config
from bench.plan.overrides import parse, read
from bench.system.errors import USER_ERRORS, ConfigError

PROPERTY = settings(OFTEN, max_examples=200)
# A value by which a configuration would hold the environment variable SECRET.
LOOKED_UP = [
    "tracking_uri=http://host/${oc.env:SECRET}",
    "tracking_uri='http://host/${oc.env:SECRET}'",
    "options.x=${oc.env:SECRET}",
    "options.x=${ oc.env:SECRET}",
    "options.x=${oc.decode:${oc.env:SECRET}}",
    "options.x=${half:${oc.env:SECRET}}",
    r"options.x=$\{oc.env\:SECRET\}",
    "++options={x: [1, {y: '${oc.env:SECRET}'}]}",
    "scale.options.stcn.x=${oc.env:SECRET}",
    "scale.student.lr=${oc.env:SECRET}",
    "+ablation.cells={x: {weights: '${oc.env:SECRET}'}}",
    "+ablation.sweep={options.x: ['a${oc.env:SECRET}']}",
    "pictures=[a,'${oc.env:SECRET}']",
    "dataset=${oc.env:SECRET}",
    "weights=/a/${oc.env:SECRET}",
    "+a=${tracking_uri}",
]


@pytest.mark.parametrize("text", LOOKED_UP)
def test_nothing_is_looked_up_for_a_value_of_the_command_line(text, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    key = text.partition("=")[0]
    with pytest.raises(ConfigError) as told:
        load_config([text])
    assert str(told.value).startswith(f"{key}: ") and "give the value itself" in str(told.value)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    "values",
    [
        {"tracking_uri": "http://host/${oc.env:SECRET}"},
        {"pictures": ["a", ["${oc.env:SECRET}"]]},
        {"tracking_uri=http://host/${oc.env:SECRET} #": 1},
    ],
)
def test_nor_for_one_of_a_file(values, tmp_path, capsys):
    (tmp_path / "evil.yaml").write_text(yaml.safe_dump(values))
    assert main([f"overrides={tmp_path}/evil.yaml", "--config"]) == 2
    assert "would be looked up elsewhere" in capsys.readouterr().err


def test_what_the_suite_computes_itself_may_be_said():
    half = "+ablation.cells={half: {scale.student.steps: '${half:${scale.student.steps}}'}}"
    assert load_config(["ablation=distillation", half]).ablation.cells.half["scale.student.steps"] == 250


@pytest.mark.parametrize("text", ["hydra.searchpath=[/tmp]", "++hydra.run.dir=x", "+hydra/launcher=basic"])
def test_there_are_no_keys_of_hydras_own(text):
    with pytest.raises(ConfigError, match="there is no key"):
        load_config([text])


PLACES = ["weights", "runs", "output", "predictions", "teacher.weights", "imagenet.resnet18", "dataset.root",
          "stage0.root", "tracking_uri", "video", "mask", "search.storage"]  # fmt: skip


NAMES = st.text(st.characters(blacklist_categories=["C"]), min_size=1, max_size=30)


@PROPERTY
@given(key=st.sampled_from(PLACES), name=NAMES)
@pytest.mark.parametrize("start", ["/data/", ""])
def test_a_path_is_taken_as_it_is(start, key, name):
    path = start + name
    assume("\\" not in path and "${" not in path and path[0] not in "'\"" and path.lower() != "null")
    (text,) = read([f"{key}={path}"])
    assert parse(text).value() == path


def test_paths_of_odd_names_reach_the_job(tmp_path):
    names = {"weights": "a (1), b.pt", "runs": "it's = {here}", "output": "5", "teacher.weights": "[x]"}
    config = load_config([f"{key}={name}" for key, name in names.items()] + ["predictions='quoted, as before'"])
    assert (config.weights, config.runs, config.output) == ("a (1), b.pt", "it's = {here}", "5")
    assert (config.teacher.weights, config.predictions) == ("[x]", "quoted, as before")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("options.weights=/a (b", "\"options.weights='/a (b'\""),
        ("pictures=a,b", "\"pictures='a,b'\""),
        ("methods=[a b(1).py:X,stcn]", r"\"methods=\['a b\(1\).py:X','stcn'\]\""),
    ],
)
def test_of_other_values_the_quoted_form_is_told(text, quoted):
    with pytest.raises(ConfigError, match=quoted.replace("(b", r"\(b")):
        load_config(["job=compare", text])


BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (BOMB, r"aliases \(\*name\) are not read here"),
        ("1: 2\n", "give lines of the form"),
        ("[1, 2]\n", "give lines of the form"),
        ("seeds: [[[1]]]\n", "give lines of the form"),
        ("a: {b: [1]}\n", "give lines of the form"),
        ("a: " + "[" * 5000, "cannot be read: "),
        (f"seeds: {list(range(2000))}\n", "give at most 1000 values"),
        ("a: " + "9" * 5000, "cannot be read: "),
        ("\x00", "cannot be read: "),
        ("x" * (2**20 + 1), "give a file of at most 1 MiB"),
        ("training.hold_out: .nan\n", "training.hold_out=nan: give a share"),
    ],
)
def test_a_hostile_file_of_overrides_costs_one_line(content, told, tmp_path):
    (tmp_path / "evil.yaml").write_text(content)
    with pytest.raises(ConfigError, match=told) as error:
        load_config([f"overrides={tmp_path}/evil.yaml"])
    assert "\n" not in str(error.value)


def test_what_is_no_file_of_overrides_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    start = time.monotonic()
    for place in ("/dev/zero", tmp_path, tmp_path / "fifo"):
        with pytest.raises(ConfigError, match=f"overrides={place} cannot be read: give a file of at most 1 MiB"):
            load_config([f"overrides={place}"])
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["scale.student.lr=-1"], "scale.student.lr=-1.0: give a number of at least 0"),
        (["scale.student.warmup=2"], "scale.student.warmup=2.0: give a share"),
        (["scale.student.ema=2"], "scale.student.ema=2.0: give a share"),
        (["scale.student.clip_grad=-1"], "scale.student.clip_grad=-1.0: give a number above 0"),
        (["scale.student.crop=0"], "scale.student.crop=0: give a whole number of at least 16"),
        (["scale.stage0.student.lr=-1"], "scale.stage0.student.lr=-1: give a number of at least 0"),
        (["recipe.representation.omega=7"], "recipe.representation.omega=7.0: give a share"),
        (["teacher.recipe.logits.weight=-5"], "teacher.recipe.logits.weight=-5.0: give a number of at least 0"),
        (["seeds=[0.5]"], r"seeds=\[0.5\]: give a whole number"),
        (["seeds=zero"], "seeds=zero: give"),
        (["seeds=99999999999999999999"], "seeds=99999999999999999999: give"),
        (["picture_frames=7"], "picture_frames=7: give true or false"),
        (["measure=maybe"], "measure=maybe: give true or false"),
        (["job=evaluate", "method=null"], "method=null: give text"),
        (["job=segment", "fps=nan"], "fps=nan: give a number of at least 1"),
        (["job=search", "workers=-1"], "workers=-1: give a whole number"),
        (["job=ui", "port=99999"], "port=99999: give a whole number"),
        (["processes=0"], "processes=0: give auto or"),
        (["teacher=5"], "teacher=5: give teacher.<key>"),
        (["~method"], "~method: job=ablate cannot do without"),
        (["=1"], "there is no key ''"),
        (["+options.width=nan"], "options.width=nan: give a finite number"),
        (["+ablation.cells.x={recipe: {logits: {weight: -5}}}"], "recipe.logits.weight=-5: give a number"),
        (["+ablation.cells.x=5"], "ablation.cells=.*: give keys"),
        (["+ablation.sweep={scale.student.lr: [0.1, -1]}"], "scale.student.lr=-1: give a number"),
        (["+ablation.sweep={a: [1,2,3,4,5,6,7,8,9,10], b: [1,2,3,4,5,6,7,8,9,10], c: [1,2,3,4,5,6,7,8,9,10,11]}"],
         "ablation.sweep: give lists of at most 1000 rows"),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_told_when_a_configuration_is_composed(arguments, told):
    with pytest.raises(ConfigError, match=told):
        load_config(arguments)


HOSTILE = ["null", "-1", "nan", "[]", "{}", "x", "''", "1e400", "[null]", "{a: 1}", "'[1'", "999999999999999999999",
           "true", "a b", "%s", "../..", "[[1]]", "0.5"]  # fmt: skip
KEYS = ["seeds", "options", "dataset", "teacher", "teacher.options", "scale.student", "scale.student.steps",
        "recipe", "recipe.sampling", "imagenet", "policy", "pictures", "ablation.cells", "launcher.name",
        "+methods", "job", "training.kind", "++a.b", "runs", "ranks", "stage1", "~weights"]  # fmt: skip


@settings(OFTEN, max_examples=20)
@given(key=st.sampled_from(KEYS), value=st.sampled_from(HOSTILE))
def test_any_value_of_any_key_composes_or_costs_one_line(key, value):
    try:
        load_config([f"{key}={value}"])
    except USER_ERRORS as error:
        assert "\n" not in str(error)


def test_the_addresses_of_a_comparison_are_not_among_its_arguments():
    given = ["job=compare", "methods=[stcn,deaot_t]", "++tracking_uri='postgresql://me:hunter2@host/db'", "seeds=2",
             "++search={storage: 'postgresql://me:hunter2@host/db'}"]  # fmt: skip
    arguments = load_config(given).arguments
    assert not any("hunter2" in text for text in arguments)
    assert load_config([*arguments, "recipe=deaot"]).seeds == 2
