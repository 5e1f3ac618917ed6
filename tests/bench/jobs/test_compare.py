"""Methods side by side: of users' own, of the suite's with weights, and those that are trained for it."""

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import methods
from bench.record import Record
from reports.__main__ import main as report

EXAMPLE = Path(__file__).resolve().parents[3] / "docs/examples/colour_matching.py"


def by_label(records: list[Record]) -> dict[str, Record]:
    return {record.label: record for record in records}


def test_the_documented_example_beside_two_baselines(tiny_run, capsys):
    """From a file to a table with intervals, figures and a sheet of pictures, by one command."""
    listed = f"[{EXAMPLE}:ColourMatching,mobilevos_r18,copy_first_mask]"
    assert tiny_run("job=check", f"method={EXAMPLE}:ColourMatching") == 0
    assert "ColourMatching: 12 of 12 promises kept" in capsys.readouterr().out
    assert tiny_run("job=compare", f"methods={listed}", "reference=copy_first_mask") == 0
    found = by_label(tiny_run.records)
    assert list(found) == ["ColourMatching", "mobilevos_r18", "copy_first_mask"]
    assert {record.status for record in found.values()} == {"ok"}
    assert {record.reference for record in found.values()} == {"copy_first_mask"}
    assert found["mobilevos_r18"].recipe == "mobilevos" and found["mobilevos_r18"].train_steps == 3
    assert report([str(tiny_run.out)]) == 0
    table = pd.read_csv(tiny_run.out / "table.csv").set_index("label")
    own, copied = found["ColourMatching"], found["copy_first_mask"]
    assert table.loc["ColourMatching", "jf_difference"] == pytest.approx(own.jf_mean - copied.jf_mean)
    assert table.loc["ColourMatching", "jf_difference_low"] <= table.loc["ColourMatching", "jf_difference"]
    files = {path.name for path in tiny_run.out.iterdir()}
    assert {"table.md", "table.tex", "accuracy.png", "differences.pdf", "overlays.png"} <= files


def test_a_baseline_without_weights_is_the_ablations_own_student(tiny_run):
    tiny_run("ablation=distillation", "seeds=1")
    trained = sorted(tiny_run.runs.glob("trained/*"))
    distilled = by_label(tiny_run.records)["distilled"]
    assert tiny_run("job=compare", "methods=[mobilevos_r18,copy_first_mask]") == 0
    assert sorted(tiny_run.runs.glob("trained/*")) == trained
    assert by_label(tiny_run.records)["mobilevos_r18"].jf_mean == distilled.jf_mean


def test_every_method_has_the_default_recipe_of_its_family():
    from bench.plan.ablation import Data
    from bench.plan.compare import plan_comparison
    from bench.plan.compose import load_config

    data = {"name": "x", "kind": "embedded", "fingerprint": "x"}
    listed = "methods=[mobilevos_r18,deaot_t,stcn]"
    config = load_config(["job=compare", listed, "scale.student.steps=7"])
    student, deaot, stcn = (c.network.training for c in plan_comparison(config, Data(data, data)))
    assert (student.recipe.name, deaot.recipe.name, stcn.recipe.name) == ("mobilevos", "deaot", "supervised")
    assert (student.teacher.method, deaot.teacher.method, stcn.teacher) == ("mobilevos_r18", "deaot_l", None)
    assert student.schedule.steps == deaot.schedule.steps == 7
    assert deaot.schedule.guided == 0.5  # the family's own


def test_weights_stand_beside_a_name(tiny_run, tmp_path):
    files = [tmp_path / "a.pth", tmp_path / "b.pth"]
    for seed, file in enumerate(files):
        torch.manual_seed(seed)
        state = methods.create("mobilevos_mnv2", width=0.25).state_dict()
        torch.save({"state_dict": state, "meta": {"options": {"width": 0.25}}}, file)
    listed = ",".join(f"mobilevos_mnv2@{file}" for file in files)
    assert tiny_run("job=compare", f"methods=[{listed}]") == 0
    assert [r.label for r in tiny_run.records] == ["mobilevos_mnv2 (a.pth)", "mobilevos_mnv2 (b.pth)"]
    assert [r.weights for r in tiny_run.records] == [str(file) for file in files]
    assert {r.reference for r in tiny_run.records} == {"mobilevos_mnv2 (a.pth)"}
    assert not (tiny_run.runs / "trained").exists()


def test_two_classes_of_one_name_keep_their_files_names(tiny_run, mine):
    assert tiny_run("job=compare", f"methods=[{mine()},{mine('another = True', 'other.py')}]") == 0
    assert [r.label for r in tiny_run.records] == ["mine.py:Mine", "other.py:Mine"]


def test_a_student_of_ones_own_is_trained_as_the_suites(tiny_run, tmp_path):
    (tmp_path / "student.py").write_text(
        "from methods.mobilevos.network import MobileVOS\n\n\n"
        "class Student(MobileVOS):\n"
        "    def __init__(self):\n"
        "        super().__init__('mobilenet_v2', aspp=False, width=0.25)\n"
    )
    assert tiny_run("job=compare", f"methods=[{tmp_path}/student.py:Student,copy_first_mask]") == 0
    own = by_label(tiny_run.records)["Student"]
    assert (own.status, own.train_steps, own.recipe) == ("ok", 3, "mobilevos")
    assert tiny_run("job=evaluate", f"method={tmp_path}/student.py:Student", f"weights={own.weights}") == 0
    assert tiny_run.records[0].jf_mean == own.jf_mean


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["job=compare"], r"needs methods=\[...\] with at least two"),
        (["job=compare", "methods=[copy_first_mask]"], r"at least two"),
        (["job=compare", "methods=[copy_first_mask,copy_first_mask]"], r"'copy_first_mask' is listed twice"),
        (["job=compare", "methods=[copy_first_mask,stnc]"], r"unknown method 'stnc'"),
        (["job=compare", "methods=[copy_first_mask,/no/mine.py:Mine]"], r"no file /no/mine.py"),
        (["job=compare", "methods=[copy_first_mask,stcn@/no/stcn.pth]"], r"no weights at /no/stcn.pth"),
        (
            ["job=compare", "methods=[copy_first_mask,hf_sam2_video]"],
            r"'hf_sam2_video' (needs transformers|is not trained here)",
        ),
        (["job=compare", "methods=[copy_first_mask,mobile_sam]"], r"'mobile_sam' is not trained here"),
        (["job=compare", "methods=[stcn,copy_first_mask@/]"], r"'copy_first_mask' has no weights"),
        (["job=compare", "methods=[stcn,copy_first_mask]", "reference=x"], r"choose one of stcn, copy_first_mask"),
        (["job=compare", "methods=[stcn,copy_first_mask]", "options.top_k=3"], r"takes no options"),
        (["job=check", "method=masks:/"], r"'masks:/' has nothing to check"),
    ],
)
def test_a_mistake_on_the_command_line(arguments, message, tiny_run, told):
    assert tiny_run(*arguments) == 2
    assert re.search(message, told()[-1])
