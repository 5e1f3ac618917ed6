"""A distillation loss is added by one module that registers it, and by nothing else."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from bench.losses import base
from bench.plan.ablation import Data, plan_ablation
from bench.plan.compose import load_config
from bench.system.errors import ConfigError

MODULE = '''
from bench.losses.base import Loss, Reads, counted, register
from bench.system.choices import choice


@register("distance")
class Distance(Loss):
    """How far the student's probabilities are from the teacher's."""

    norm: str = choice("l1", "l2")

    reads = Reads.ANSWERS | Reads.TEACHERS_ANSWERS

    def sums(self, seen):
        difference = seen.student.logits.softmax(2) - seen.teacher.logits.softmax(2)
        return counted(difference.abs() if self.norm == "l1" else difference**2)
'''
DATA = Data({"name": "x", "fingerprint": "a"}, {"name": "y", "fingerprint": "b"})


@pytest.fixture
def add_loss(tmp_path, monkeypatch):
    """Adds the loss for the length of a test."""

    def add() -> None:
        (tmp_path / "distance_loss.py").write_text(MODULE)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(base, "_TABLE", base.table())
        monkeypatch.delitem(import_module("sys").modules, "distance_loss", raising=False)
        import_module("distance_loss")

    return add


def trainings(ablation: str) -> dict[str, str]:
    """{label: key} of all that an ablation trains."""
    config = load_config([f"ablation={ablation}", "seeds=1", "measure=false"])
    cells = plan_ablation(config, DATA)
    return {cell.label: cell.network.training.key for cell in cells if cell.network.training}


def test_a_student_learns_by_it_through_a_row_of_an_ablation(add_loss, tiny_run):
    add_loss()
    rows = "+ablation.cells={plain: {}, taught: {recipe.distance.weight: 2.0}}"
    only = ["ablation=distillation", "ablation.baselines=[]", "~ablation.cells", rows, "seeds=[0]"]
    assert tiny_run(*only, "recipe=supervised", "options.width=0.125", "scale.teacher_options.width=0.125") == 0
    plain, taught = tiny_run.records
    assert plain.status == taught.status == "ok"
    curves = [json.loads(Path(record.curve).read_text())[0] for record in (plain, taught)]
    assert "distance" not in curves[0] and curves[1]["distance"] > 0
    assert curves[1]["total"] == pytest.approx(curves[0]["total"] + 2 * curves[1]["distance"], rel=1e-4)


def test_no_other_training_is_a_new_one(add_loss):
    before = [trainings(name) for name in ("losses", "kd")]
    add_loss()
    assert [trainings(name) for name in ("losses", "kd")] == before


def test_its_choices_are_checked_as_all_others(add_loss):
    with pytest.raises(ConfigError, match="there is no key 'recipe.distance.norm'"):
        load_config(["recipe.distance.norm=l2"])
    add_loss()
    assert load_config(["recipe.distance.norm=l2"]).recipe.distance.norm == "l2"
    with pytest.raises(ConfigError, match="unknown recipe.distance.norm 'l3'; known: l1, l2"):
        load_config(["recipe.distance.norm=l3"])
