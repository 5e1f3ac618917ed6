"""Training data of several data sets: how a command line names them, and what it cannot name."""

import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.plan.ablation import Data, check_held_out, plan_ablation
from bench.plan.cells import Training, placeless
from bench.plan.compose import load_config
from bench.plan.data import locate, open_training
from bench.plan.recipe import Schedule
from bench.run import grid
from bench.score import held_out
from bench.system.errors import ConfigError

MIX = ["training=mix", "training.parts.video=davis", "training.parts.photos=static"]


@pytest.fixture
def stills(tiny_davis, tmp_path) -> Path:
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(tiny_davis / kind / "480p/train-000", tmp_path / "stills" / kind / "set")
    return tmp_path / "stills"


@pytest.fixture
def mix(tiny_davis, stills) -> list[str]:
    roots = [f"training.parts.video.root={tiny_davis}", f"training.parts.photos.root={stills}"]
    return [*MIX, *roots, "training.parts.photos.share=0.5"]


def test_parts_have_the_keys_of_their_data_sets_and_a_share(mix, tiny_davis, tmp_path):
    more = ["training.parts.photos.synthesis.smear=0", "training.parts.video.hold_out=0.3"]
    found = locate(load_config([*mix, *more]), "training", tmp_path / "runs")
    assert list(found["parts"]) == ["photos", "video"]
    photos, video = found["parts"].values()
    assert (photos["share"], photos["synthesis"], photos["hold_out"]) == (0.5, {"smear": 0}, 0.1)
    assert (video["share"], video["year"], video["root"], video["hold_out"]) == (1.0, 2017, str(tiny_davis), 0.3)
    assert found["fingerprint"] == f"{photos['fingerprint']}+{video['fingerprint']}"


def test_a_stage_may_be_a_mixture(stills):
    config = load_config(["stage0=mix", "stage0.parts.a=static", f"stage0.parts.a.root={stills}"])
    assert (config.stage0.kind, config.stage0.parts.a.root) == ("mix", str(stills))


def test_a_list_of_folders_is_one_data_set_whatever_their_names(stills, tmp_path):
    other = shutil.copytree(stills, tmp_path / "a (b) = c")
    config = load_config(["training=static", f"training.root=[{stills}, {other}]"])
    found = locate(config, "training", tmp_path / "runs")
    assert found["root"] == [str(stills), str(other)]
    one, two = found["fingerprint"].split("+")
    assert one == two
    alone = locate(load_config(["training=static", f"training.root=[{stills}]"]), "training", tmp_path / "runs")
    assert (alone["root"], alone["fingerprint"]) == (str(stills), one)


def test_where_parts_lie_changes_no_key_and_their_shares_do(mix, stills, tmp_path):
    shutil.copytree(stills, tmp_path / "elsewhere")
    moved = [text.replace(f"photos.root={stills}", f"photos.root={tmp_path / 'elsewhere'}") for text in mix]
    other = [text.replace("share=0.5", "share=0.6") for text in mix]
    first, second, third = (
        placeless(locate(load_config(a), "training", tmp_path / "r")) for a in (mix, moved, other)
    )
    assert first == second != third


def test_the_stream_of_a_mixture_is_the_same_from_any_step(mix, tmp_path):
    data = locate(load_config(mix), "training", tmp_path / "runs")
    schedule = Schedule(steps=4, batch=2, crop=32, length=2)
    whole = list(open_training(data, schedule, 3).loader())
    resumed = list(open_training(data, schedule, 3).loader(first_step=2))
    for one, other in zip(whole[2:], resumed, strict=True):
        assert one["frames"].equal(other["frames"]) and one["masks"].equal(other["masks"])


def test_rows_may_leave_parts_out_or_draw_them_more_often(mix, tmp_path):
    rows = (
        "+ablation.cells={all: {}, video: {training.parts.photos.share: null}, "
        "more: {training.parts.video.share: 2}}"
    )
    grid_of_rows = [
        "ablation=omega",
        "~ablation.sweep",
        rows,
        "ablation.baselines=[]",
        "seeds=1",
        "recipe=supervised",
    ]
    config = load_config([*mix, *grid_of_rows])
    data = locate(config, "training", tmp_path / "runs")
    cells = plan_ablation(config, Data(data, {"name": "x", "kind": "davis", "fingerprint": "x"}))
    parts = {c.label: {name: p["share"] for name, p in c.network.training.data["parts"].items()} for c in cells}
    assert parts == {
        "all": {"photos": 0.5, "video": 1}, "video": {"video": 1}, "more": {"photos": 0.5, "video": 2},
    }  # fmt: skip
    alone = locate(load_config([*mix, "training.parts.photos.share=null"]), "training", tmp_path / "runs")
    assert placeless(cells[1].network.training.data) == placeless(alone)
    left = load_config(
        [
            *mix,
            *grid_of_rows,
            "training.parts.photos.share=null",
            "++ablation.cells.more={training.parts.photos.share: 1}",
        ]
    )
    with pytest.raises(ConfigError, match="training.parts.photos: rows may leave parts out"):
        plan_ablation(left, Data(alone, {"name": "x", "kind": "davis", "fingerprint": "x"}))


def test_networks_learn_from_a_mixture_and_soups_are_chosen_on_what_it_holds_out(mix, tmp_path, monkeypatch):
    for name, value in {"SCORED_CLIPS": 2, "SCORED_FRAMES": 4}.items():
        monkeypatch.setattr(held_out, name, value)
    monkeypatch.setattr(grid, "_tracked", lambda *_: nullcontext(grid.Untracked()))
    sizes = {"steps": 2, "batch": 2, "crop": 32, "length": 4}
    tiny = [f"scale.student.{key}={value}" for key, value in sizes.items()]
    arguments = [
        *mix, *tiny, "ablation=omega", "omega=[0]", "recipe=supervised", "seeds=1", "ablation.baselines=[]",
        "pictures=none", "options.width=0.125", "+ablation.soups={best: {pick: greedy}}", "dataset=davis2017",
        "measure=false", f"dataset.root={mix[3].partition('=')[2]}", f"runs={tmp_path}/runs",
        f"output={tmp_path}/out", "device=cpu", "processes=1",
    ]  # fmt: skip
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["training.parts.photos.share=0"], r"training.parts.photos.share=0: give a number above 0"),
        (["training.parts.photos.share=-1"], r"training.parts.photos.share=-1: give a number above 0"),
        (["training.parts.photos.share=null", "training.parts.video.share=null"], r"'mix' has no part left"),
        (["training.parts.more=statik"], r"unknown training.parts.more 'statik'; known: .*static"),
        (["training.parts.more=static"], r"training.parts.more 'static' needs training.parts.more.root="),
        (["training.parts.photos.root=/nowhere"], r"training.parts.photos.root: no folder /nowhere"),
        (["training.parts.photos.root=[STILLS,/nowhere]"], r"training.parts.photos.root: no folder /nowhere"),
        (["training.parts.photos.rot=/x"], r"no key 'training.parts.photos.rot'; did you mean .*photos.root"),
        (["training.parts.photos.hold_out=2"], r"training.parts.photos.hold_out=2: give a share"),
        (["training.parts.photos.synthesis.smaer=0"], r"training.parts.photos.synthesis: .*smaer"),
        (["training.parts.more.share=1"], r"training.parts.more is no data set: give training.parts.more=<one of"),
        (["training.parts.more=mix"], r"training.parts.more is no data set"),
        (["+training.parts.more.root=/x"], r"training.parts.more is no data set"),
        (["dataset=static", "dataset.root=STILLS", "dataset.hold_out=0.5"], r"'static' would learn from data that"),
    ],
)
def test_a_mistake_in_a_mixture_is_told_in_one_line(arguments, message, mix, stills, tmp_path, capsys):
    arguments = [text.replace("STILLS", str(stills)) for text in arguments]
    assert main([*mix, *arguments, f"runs={tmp_path}/runs", f"output={tmp_path}/out"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["training=mix"], "training 'mix' needs parts: training.parts.<name>=davis, say"),
        (["training.parts.a=embedded"], "training.parts: 'embedded' is not mixed of parts: take training=mix"),
        (["training=static", "training.root=[]"], "training 'static' needs training.root="),
        (
            ["dataset=davis2016", "dataset.root=[/a,/b]"],
            r"dataset.root=\['/a', '/b'\]: give text or null|no folder",
        ),
    ],
)
def test_mixtures_and_lists_are_where_they_belong(arguments, message, tmp_path, capsys):
    assert main([*arguments, f"runs={tmp_path}/runs", f"output={tmp_path}/out"]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_what_is_chosen_on_no_part_or_another_stage_has_learnt_from(mix, tmp_path, capsys):
    def training(*arguments: str, start: Training | None = None) -> Training:
        data = locate(load_config([*mix, *arguments]), "training", tmp_path / "runs")
        return Training("mobilevos_r18", {}, None, Schedule(), data, 0, start=start)

    check_held_out("it", training(start=training()))
    check_held_out("it", training("training.parts.video.hold_out=0"))
    neither = ["training.parts.video.hold_out=0", "training.parts.photos.hold_out=0"]
    with pytest.raises(ConfigError, match="picked on held-out training data"):
        check_held_out("it", training(*neither))
    with pytest.raises(ConfigError, match="an earlier stage learnt from: give all stages hold_out=0.1"):
        check_held_out("it", training(start=training("training.parts.photos.hold_out=0.2")))
