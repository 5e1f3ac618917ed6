"""From the command line to records: a grid is trained, evaluated, recorded, and never done twice."""

import json
import shutil
import signal
from pathlib import Path

import faults
import pytest
import torch

from bench.record import read_records
from methods.checkpoint import read_state
from tests.bench.conftest import TinyRun

SAMPLING = ["ablation=sampling", "seeds=[0]"]


@pytest.fixture(scope="module")
def sampled(tiny_davis, tmp_path_factory) -> TinyRun:
    """A finished run of SAMPLING: not to be changed."""
    run = TinyRun(tiny_davis, tmp_path_factory.mktemp("sampled"))
    assert run(*SAMPLING) == 0
    return run


@pytest.fixture
def sampled_before(tiny_run, sampled) -> TinyRun:
    """A run that finds SAMPLING done."""
    shutil.copytree(sampled.runs, tiny_run.runs)
    shutil.copytree(sampled.out, tiny_run.out)
    return tiny_run


def test_an_ablation_gives_one_record_a_cell_with_everything_a_table_needs(sampled):
    records = sampled.records
    names = ["copy_first_mask", "mobilevos_r18 (teacher)", "random", "boundary", "uncertainty (ours)", "all"]
    assert [r.label for r in records] == names
    for record in records:
        assert record.status == "ok"
        assert 0 <= record.j_mean <= 100
        assert record.jf_mean == pytest.approx((record.j_mean + record.f_mean) / 2)
        assert (record.dataset, record.sequences, record.resolution) == ("davis2017", 2, "48x64")
        assert record.device and record.versions and record.config_hash and record.mlflow_run_id
        assert set(json.loads(record.per_sequence)) == {"val-000", "val-001"}
    assert [r.recipe for r in records] == ["none", "supervised", *["mobilevos"] * 4]
    assert [Path(r.sampling_picture).is_file() for r in records] == [False] * 2 + [True] * 4
    assert records[2].train_steps == 3
    assert records[2].initialisation == "resnet18 random"


def test_finished_cells_are_not_done_again(sampled_before, sampled):
    files = {path: path.stat().st_mtime_ns for path in sampled_before.runs.rglob("weights.pt")}
    sampled_before(*SAMPLING)
    first = sampled_before.records
    assert [(r.label, r.per_sequence) for r in first] == [(r.label, r.per_sequence) for r in sampled.records]
    sampled_before(*SAMPLING)
    assert sampled_before.records == first
    assert {path: path.stat().st_mtime_ns for path in sampled_before.runs.rglob("weights.pt")} == files


def test_another_dataset_reuses_the_trained_students(sampled_before, tiny_davis):
    trained = sorted(sampled_before.runs.glob("trained/*"))
    sampled_before(*SAMPLING, "dataset=davis2016", f"dataset.root={tiny_davis}", "++dataset.year=2017")
    assert sorted(sampled_before.runs.glob("trained/*")) == trained
    assert {r.dataset for r in sampled_before.records} == {"davis2016"}


def test_students_that_differ_at_inference_alone_share_weights(sampled_before):
    before = len(list(sampled_before.runs.glob("trained/*")))
    sampled_before(*SAMPLING, "inference.queue_length=4")
    assert len(list(sampled_before.runs.glob("trained/*"))) == before
    assert len(list(sampled_before.runs.glob("cells/mobilevos_r18-*"))) == 9


def test_random_features_learn_where_imagenet_s_would_stay(tiny_run):
    one_row = ["ablation=distillation", "~ablation.cells.distilled", "seeds=[0]"]
    tiny_run(*one_row)
    tiny_run(*one_row, "scale.student.backbone_lr=0")
    learnt, stayed = (
        read_state(path) for path in tiny_run.runs.glob("trained/mobilevos_r18-mobilevos-*/weights.pt")
    )
    torch.testing.assert_close(stayed, learnt, rtol=0, atol=0)


def test_a_cell_whose_loss_is_no_number_is_recorded_and_stops_nothing(tiny_run):
    assert tiny_run(*SAMPLING, "+ablation.cells.broken={scale.student.lr: 1.0e+15}") == 0
    status = {r.label: r.status for r in tiny_run.records}
    assert status["broken"].startswith("failed: loss nan")
    assert status["random"] == status["boundary"] == "ok"


def test_a_network_that_is_there_for_its_cost_is_recorded_without_scores(tiny_run, monkeypatch):
    monkeypatch.setattr(
        "bench.run.evaluate_cell.full_size", lambda *_: {"params_m_full": 54.4, "gmacs_full": 156.0}
    )
    assert tiny_run("ablation=distillation", "measure=true") == 0
    record = next(r for r in tiny_run.records if r.label == "stcn (cost only)")
    assert (record.status, record.jf_mean, record.gmacs_full) == ("ok", None, 156.0)
    assert record.mlflow_run_id


def test_costs_are_added_to_cells_that_were_finished_without_measuring(sampled_before, monkeypatch):
    monkeypatch.setattr("bench.run.evaluate_cell.full_size", lambda *_: {"params_m_full": 8.1})
    sampled_before(*SAMPLING, "measure=true")
    assert {r.params_m_full for r in sampled_before.records} == {8.1}


def test_evaluate_judges_a_checkpoint_of_the_suite_with_its_own_width(sampled_before):
    student = next(r for r in sampled_before.records if r.label == "boundary")
    assert sampled_before("job=evaluate", "method=mobilevos_r18", f"weights={student.weights}") == 0
    (record,) = sampled_before.records
    assert record.jf_mean == pytest.approx(student.jf_mean)
    assert record.initialisation == "checkpoint weights.pt"


def test_masks_are_written_as_the_field_expects(tiny_run, tiny_davis):
    from datasets.images import read_mask

    tiny_run("job=evaluate", "method=copy_first_mask")
    folder = next(tiny_run.runs.glob("cells/copy_first_mask*"))
    first = read_mask(tiny_davis / "Annotations/480p/val-000/00000.png")
    for number in range(5):
        assert (read_mask(folder / f"masks/val-000/{number:05d}.png") == first).all()


def test_mlflow_shows_cells_below_their_invocation(sampled, tmp_path):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{sampled.runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(sampled.out.name).experiment_id
    runs = client.search_runs([experiment])
    parents = [r for r in runs if r.data.tags["kind"] == "invocation"]
    cells = [r for r in runs if r.data.tags["kind"] == "cell"]
    assert len(parents) == 1
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert {r.data.tags["mlflow.parentRunId"] for r in cells} == {parents[0].info.run_id}
    student = next(r for r in cells if r.data.params["label"] == "boundary")
    record = next(r for r in sampled.records if r.label == "boundary")
    assert student.data.metrics["jf_mean"] == pytest.approx(record.jf_mean)
    assert "jf_sequence/val-000" in student.data.metrics
    assert len(client.get_metric_history(student.info.run_id, "train/total")) == 3
    invocation = parents[0]
    assert invocation.data.tags["ablation"] == "sampling"
    assert invocation.data.tags["folder"] == str(sampled.out)
    whole = Path(client.download_artifacts(invocation.info.run_id, "records.jsonl", str(tmp_path)))
    assert read_records(whole) == sampled.records
    names = {artifact.path for artifact in client.list_artifacts(student.info.run_id)}
    assert {"overlay.png", "scores.json", "weights.pt"} <= names


def kill_after_a_student_is_evaluated() -> None:
    from bench.run import evaluate_cell

    honest = evaluate_cell.write_json

    def write_json(path: Path, content) -> None:
        honest(path, content)
        if path.name == "record.json" and "mobilevos" in str(path):
            faults.kill()

    evaluate_cell.write_json = write_json


def test_a_run_killed_between_cells_goes_on_to_the_same_table(tiny_run, sampled, tmp_path):
    """SIGKILL after the first finished cell; the same command then gives what an undisturbed run gives."""
    arguments = [*tiny_run.arguments, *SAMPLING]
    assert faults.disturbed(arguments, tmp_path / "told", kill_after_a_student_is_evaluated) == -signal.SIGKILL
    assert [r.label for r in tiny_run.records if r.status == "ok"] == ["copy_first_mask"]
    assert {r.status for r in tiny_run.records[1:]} == {"not run: an earlier cell is still at work"}
    assert tiny_run(*SAMPLING) == 0
    undisturbed = [(r.label, r.jf_mean) for r in sampled.records]
    assert [(r.label, r.jf_mean) for r in tiny_run.records] == undisturbed
