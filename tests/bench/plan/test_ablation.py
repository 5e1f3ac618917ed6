"""From a configuration to cells and their hashes."""

from dataclasses import replace

import pytest

from bench.plan.ablation import Data, plan_ablation
from bench.plan.cells import groups
from bench.plan.compose import choices, load_config
from bench.plan.keys import STAGES
from bench.system.errors import ConfigError

DATA = Data({"name": "x", "fingerprint": "a"}, {"name": "y", "fingerprint": "b"})


def cells(*overrides: str, data: Data = DATA):
    config = load_config(list(overrides))
    stages = {name: data.training for name in STAGES if config[name].kind != "none"}
    return plan_ablation(config, replace(data, stages=data.stages or stages))


def keys(*overrides: str) -> list[str]:
    return [cell.key for cell in cells(*overrides)]


def students(*overrides: str):
    return [cell.network.training for cell in cells("ablation=sampling", *overrides) if cell.label == "boundary"]


def test_cells_of_a_grid_are_paired_over_seeds():
    rows = [(cell.label, cell.seed) for cell in cells("ablation=sampling", "seeds=2") if cell.varied]
    assert rows[:4] == [("random", 0), ("random", 1), ("boundary", 0), ("boundary", 1)]


@pytest.mark.parametrize(("seed", "teachers"), [("own", [0, 1]), ("3", [3, 3])])
def test_each_seed_has_a_teacher_of_its_own_or_all_have_one(seed, teachers):
    trainings = students("seeds=2", "teacher.weights=null", f"teacher.seed={seed}")
    assert [training.teacher.training.seed for training in trainings] == teachers


def test_seeds_are_a_number_or_a_list():
    assert [c.seed for c in cells("ablation=sampling", "seeds=[4,7]") if c.label == "random"] == [4, 7]
    with pytest.raises(ConfigError, match="at least one seed"):
        cells("seeds=[]")


def test_cells_that_share_data_seed_and_teacher_train_side_by_side():
    trainings = [
        c.network.training for c in cells("ablation=sampling", "seeds=2") if c.label in ("random", "boundary")
    ]
    assert [[t.seed for t in group] for group in groups(trainings)] == [[0, 0], [1, 1]]


def test_a_student_without_a_teacher_joins_those_with_one():
    rows = {cell.label: cell.network.training for cell in cells("ablation=distillation", "seeds=1")}
    apart = [rows["labels only"], rows["distilled"]]
    assert apart[0].teacher is None
    assert [len(group) for group in groups(apart)] == [2]
    other = next(c.network.training for c in cells("teacher.seed=1", "seeds=1") if c.label == "distilled")
    assert [len(group) for group in groups([rows["distilled"], other])] == [1, 1]


@pytest.mark.parametrize(
    "override",
    [
        "recipe.representation.omega=0.5",
        "scale.student.steps=10",
        "scale.teacher.steps=10",
        "method=mobilevos_mnv2",
        "options.width=0.5",
    ],
)
def test_what_changes_the_weights_changes_the_key(override):
    (plain,), (changed,) = students("seeds=1"), students("seeds=1", override)
    assert plain.key != changed.key


@pytest.mark.parametrize(
    "override",
    ["scale.student.workers=3", "recipe.name=other", "inference.queue_length=5", "runs=/elsewhere", "device=cpu"],
)
def test_what_changes_no_weight_keeps_the_key(override):
    (plain,), (changed,) = students("seeds=1"), students("seeds=1", override)
    assert plain.key == changed.key


def test_inference_options_change_the_cell():
    assert (
        keys("ablation=sampling", "seeds=1")[-1]
        != keys("ablation=sampling", "seeds=1", "options.queue_length=5")[-1]
    )


def test_the_place_of_the_data_changes_nothing_its_content_does():
    moved = Data({"name": "x", "root": "/b", "fingerprint": "a"}, {"name": "y", "root": "/b", "fingerprint": "b"})
    other = Data({"name": "x", "fingerprint": "z"}, DATA.dataset)
    plain = [cell.key for cell in cells()]
    assert [cell.key for cell in cells(data=moved)] == plain
    assert [cell.key for cell in cells(data=other)][-1] != plain[-1]


def test_the_teacher_is_the_scales_or_a_checkpoint():
    teacher = next(c for c in cells() if "teacher" in c.label)
    assert (teacher.network.method, teacher.network.options["width"]) == ("mobilevos_r18", 0.375)
    assert next(c for c in cells("scale=gpu") if "teacher" in c.label).network.method == "stcn"
    loaded = next(c for c in cells("teacher.method=stcn", "teacher.weights=/x.pth") if "teacher" in c.label)
    assert loaded.network.weights == "/x.pth"
    assert loaded.network.training is None


def test_networks_that_are_there_for_their_cost_have_no_weights():
    assert [c.label for c in cells() if c.cost_only] == ["stcn (cost only)"]
    assert not [c for c in cells("measure=false") if c.cost_only]


def test_a_mistyped_key_of_an_ablation_is_named():
    with pytest.raises(ConfigError, match="recipe.omega"):
        cells("+ablation.cells.wrong={recipe.omega: 1}")


@pytest.mark.parametrize("name", choices("ablation"))
def test_every_ablation_plans_rows_of_their_own(name):
    stages = {"stage0": {"name": "x", "fingerprint": "a"}} if name == "soup" else {}
    data = Data({**DATA.training, "kind": "static"}, DATA.dataset, stages)
    planned = [c for c in cells(f"ablation={name}", "seeds=1", data=data) if not c.cost_only]
    assert len({c.key for c in planned}) == len({c.label for c in planned}) == len(planned) >= 3


def test_a_sweep_is_given_on_the_command_line():
    planned = [c for c in cells("ablation=omega", "omega=[0,0.3]", "seeds=1") if c.varied]
    assert [c.label for c in planned] == ["omega=0", "omega=0.3"]
    assert [c.network.training.recipe.losses["representation"].omega for c in planned] == [0, 0.3]
    assert [c.varied for c in planned] == [{"recipe.representation.omega": value} for value in (0, 0.3)]


def test_several_keys_are_swept_as_a_product_beside_named_rows():
    sweep = "+ablation.sweep={options.queue_length: [2, null], options.write_rule: [last, first+last]}"
    labels = [c.label for c in cells("ablation=distillation", sweep, "seeds=1") if c.varied]
    assert labels[0] == "queue_length=2, write_rule=last"
    assert labels[2] == "queue_length=none, write_rule=last"
    assert labels[4] == "labels only"


def test_an_ablation_without_rows_says_so():
    with pytest.raises(ConfigError, match="has no rows"):
        cells("ablation=distillation", "ablation.cells=null")


def test_a_teacher_can_be_a_row():
    rows = {c.label: c.network for c in cells("ablation=teacher", "seeds=1")}
    assert rows["wider"].training.teacher == rows["wider (teacher)"]
    assert rows["STCN"].training.teacher.method == rows["STCN (teacher)"].method == "stcn"


def test_earlier_stages_are_shared_by_the_rows_that_start_from_them():
    data = Data(DATA.training, DATA.dataset, {"stage0": {"name": "stills", "fingerprint": "s"}})
    planned = [c.network.training for c in cells("ablation=soup", "seeds=1", data=data) if c.varied]
    assert len(planned) == 4
    assert len({training.start.key for training in planned}) == 1
    assert planned[0].start.recipe.name == "supervised"
    assert (planned[0].start.schedule.lr, planned[0].schedule.lr) == (0.001, 0.0003)


def test_the_rows_of_the_label_free_ablations_share_what_is_the_same():
    """One training serves the default student of all four, and lambda 0 is DIST."""

    def row(ablation, label):
        (cell,) = (c for c in cells(f"ablation={ablation}", "seeds=1") if c.label == label)
        return cell.network.training

    default = row("kd", "DIST + CKA")
    assert default.recipe.labels == "teacher" and not default.recipe.losses.keys() & {"poly_ce", "dice"}
    assert default.teacher.method == "deaot_l"
    assert default.key == row("attention", "deformable attention").key
    assert default.key == row("attention_map", "map 3 + intra").key
    assert row("lambda", "weight=0").key == row("kd", "DIST").key
    assert row("kd", "labels").teacher is None


def test_a_family_of_methods_has_settings_of_its_own_at_a_scale():
    data = Data(DATA.training, DATA.dataset, {"stage0": {"name": "stills", "fingerprint": "s"}})
    label_free = ["ablation=attention", "seeds=1", "scale=paper", "stage_recipe=deaot"]
    planned = {c.label: c.network.training for c in cells(*label_free, "scale.student.steps=7", data=data)}
    student, teacher = planned["deformable attention"], planned["r50_deaot_l (teacher)"]
    assert (student.schedule.steps, student.schedule.decay, student.schedule.batch) == (7, "poly", 16)
    assert student.start.teacher == student.teacher and student.start.recipe.labels == "teacher"
    assert (teacher.schedule.steps, teacher.start.schedule.lr) == (100_000, 4e-4)
    assert teacher.start.recipe.name == "supervised"  # by labels, whatever the students learn from


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["recipe.labels=nobody"], "unknown recipe.labels 'nobody'; known: truth, teacher"),
        (["recipe=supervised", "recipe.poly_ce.weight=0", "recipe.dice.weight=0"], "'supervised' has no loss"),
        (["recipe.attention.measure=mse"], "unknown recipe.attention.measure 'mse'; known: cka, kl"),
        (["teacher.recipe=deaot"], "needs a teacher of its own"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_told_before_anything_is_trained(overrides, complaint):
    with pytest.raises(ConfigError, match=complaint):
        cells("ablation=distillation", *overrides)


def test_a_decoupled_student_is_its_teacher_with_another_encoder():
    (cell,) = [c for c in cells("ablation=losses", "seeds=1") if c.label == "decoupled"]
    student, teacher = cell.network, cell.network.training.teacher
    assert (student.method, student.options["width"]) == (teacher.method, teacher.options["width"])
    assert (student.options["encoder"], student.options["encoder_width"]) == ("mobilevos_r18", 0.25)
    lean = cells("ablation=losses", "seeds=1", "method=mobilevos_mnv2", "options.queue_length=4")[-1].network
    assert (lean.options["encoder"], lean.options["queue_length"]) == ("mobilevos_mnv2", 4)
    assert lean.training.options["queue_length"] == 4  # the clips are remembered so too


def test_a_row_may_make_its_clips_in_another_way_and_has_no_other_data():
    stills = Data({"name": "x", "kind": "static", "fingerprint": "a", "synthesis": {}}, DATA.dataset)
    rows = ["ablation.baselines=[]", "seeds=1", "training=static", "recipe=supervised"]
    sweep = "+ablation.sweep={training.synthesis.smear: [0, 1]}"
    found = cells(*rows, "~ablation.cells.distilled", sweep, "measure=false", data=stills)
    made = {cell.label: cell.network.training.data["synthesis"] for cell in found}
    assert made == {"smear=0": {"smear": 0}, "smear=1": {"smear": 1}, "labels only": {}}
    assert len({cell.key for cell in found}) == 3
    with pytest.raises(ConfigError, match="share their data: training cannot differ"):
        cells(*rows, "+ablation.sweep={training.hold_out: [0, 0.1]}", data=stills)
    with pytest.raises(ConfigError, match="training.synthesis: .*smaer"):
        cells(*rows, "+ablation.sweep={training.synthesis.smaer: [0]}", data=stills)


def test_rows_of_an_ablation_may_name_what_they_are_compared_with():
    references = {c.label: c.reference for c in cells("ablation=distillation", "seeds=1")}
    assert set(references.values()) == {""}
    named = "+ablation.references={distilled: labels only}"
    references = {c.label: c.reference for c in cells("ablation=distillation", "seeds=1", named)}
    assert {label for label, reference in references.items() if reference} == {"distilled"}
    for wrong in ("{distiled: labels only}", "{distilled: labels}"):
        with pytest.raises(ConfigError, match="ablation.references: no row '.*'; rows: .*labels only, distilled"):
            cells("ablation=distillation", f"+ablation.references={wrong}")


def test_every_student_of_the_capacity_study_meets_every_teacher_and_none():
    planned = {c.label: c for c in cells("ablation=capacity", "seeds=1")}
    compared = [c for c in planned.values() if c.reference]
    teachers = {c.network.key for c in planned.values() if c.label.endswith("(teacher)")}
    assert {(c.network.method, c.network.training.teacher.key) for c in compared} == {
        (student, teacher) for student in {c.network.method for c in compared} for teacher in teachers
    }
    assert len(compared) == 9 and len(teachers) == 3
    for cell in compared:
        taught, alone = cell.network, planned[cell.reference].network
        assert (alone.method, alone.options, alone.training.teacher) == (taught.method, taught.options, None)
        assert alone.training.stream == taught.training.stream  # the same batches


def test_a_soup_is_made_of_the_rows_it_names_seed_by_seed():
    data = Data(DATA.training, DATA.dataset, {"stage0": {"name": "stills", "fingerprint": "s"}})
    planned = cells("ablation=soup", "seeds=2", data=data)
    soups = [c for c in planned if c.label == "greedy soup of the rows"]
    assert [len(c.network.soup.members) for c in soups] == [4, 4]
    assert [{m.seed for m in c.network.soup.members} for c in soups] == [{0}, {1}]
    assert soups[0].ingredients == ("omega=0", "omega=0.5", "omega=0.95", "omega=1")
    assert {c.ingredients for c in planned if "one training" in c.label} == {("omega=0.95",)}
    with pytest.raises(ConfigError, match="no row 'omega=2'"):
        cells("ablation=soup", "++ablation.soups.wrong={of: ['omega=2']}", data=data)
    with pytest.raises(ConfigError, match="along a trajectory needs snapshots"):
        cells("ablation=soup", "scale.student.snapshots=0", data=data)
    for own, stage in ((0, 0.1), (0.1, 0)):
        held = Data(
            {**DATA.training, "hold_out": own}, DATA.dataset, {"stage0": {**DATA.training, "hold_out": stage}}
        )
        with pytest.raises(ConfigError, match="hold_out=0.1"):
            cells("ablation=soup", data=held)
    with pytest.raises(ConfigError, match="different networks"):
        cells("ablation=aspp", "+ablation.soups.wrong={pick: uniform}")


def test_imagenet_weights_for_a_narrow_network_are_refused_with_a_warning():
    with pytest.warns(UserWarning, match="width 0.25 starts from random weights"):
        (training,) = students("seeds=1", "imagenet.resnet18=/x.pth")
    assert training.imagenet == {}
