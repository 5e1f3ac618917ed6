"""An ablation whose rows are scored on held-out training data, too."""

import shutil

import pytest

from bench.__main__ import main
from bench.record import read_records
from bench.run import evaluate_cell


@pytest.fixture
def stills_run(tiny_davis, tmp_path):
    """Two rows on clips of static images, one with clips of its own."""
    for kind in ("JPEGImages", "Annotations"):
        shutil.copytree(tiny_davis / kind / "480p/train-000", tmp_path / "stills" / kind / "set")
    arguments = [
        "ablation=distillation", "ablation.baselines=[]", "~ablation.cells", "+ablation.held_out=true",
        "+ablation.cells={one: {}, other clips: {training.synthesis: {cut_out: 0}}}", "seeds=1",
        "recipe=supervised", "training=static", f"training.root={tmp_path / 'stills'}",
        "training.synthesis={partner: 0}", "dataset=davis2017", f"dataset.root={tiny_davis}", "measure=false",
        "options.width=0.125", "scale.student.steps=2", "scale.student.batch=1", "scale.student.crop=32",
        f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}", "device=cpu",
    ]  # fmt: skip

    def run(*extra: str) -> int:
        return main([*arguments, *extra])

    run.records = lambda: read_records(tmp_path / "out/records.jsonl")
    return run


def test_all_rows_are_scored_on_the_same_clips(stills_run, monkeypatch):
    seen, scored = [], evaluate_cell.held_out_score

    def score(method, training, device):
        seen.append(training.data["synthesis"])
        return scored(method, training, device)

    monkeypatch.setattr(evaluate_cell, "held_out_score", score)
    assert stills_run("training.hold_out=0.3") == 0
    assert seen == [{"partner": 0}] * 2
    assert all(0 <= record.jf_held_out <= 100 for record in stills_run.records())


def test_without_a_held_out_part_the_key_to_set_is_named(stills_run, capsys):
    assert stills_run("training.hold_out=0") != 0
    assert "set training.hold_out=0.1" in capsys.readouterr().err
