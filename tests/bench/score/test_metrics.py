"""A metric is one entry in one table: those of DAVIS, and one that is added from outside."""

import json
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from scoring import Score, save_davis, save_masks

from bench.__main__ import main
from bench.plan.cells import EXTRA_METRICS
from bench.record import read_records
from bench.score.accuracy import frame_scores, score_frames
from bench.score.metric import Metric
from bench.score.metrics import METRICS, register
from bench.system.errors import ConfigError

MODULE = '''
import numpy as np
from bench.score.metric import Metric

def center_error(prediction, truth, object_ids):
    """Pixels between the centres of the columns of an object, 100 where it is in one mask alone."""
    found = []
    for i in object_ids:
        masks = [(mask == i).any(axis=0) for mask in (prediction, truth)]
        columns = [np.flatnonzero(mask) for mask in masks]
        both = all(len(each) for each in columns)
        found.append(abs(columns[0].mean() - columns[1].mean()) if both else 100 * any(map(len, columns)))
    return np.array(found, float)

METRIC = Metric("center", "Centre (px)", center_error, digits=2, unit="px", better="lower", note="of columns")
'''
SHOWN = {"title": "Centre (px)", "digits": 2, "unit": "px", "better": "lower", "note": "of columns"}


def square(left: int, object_id: int = 1) -> np.ndarray:
    mask = np.zeros((32, 48), np.uint8)
    mask[8:24, left : left + 10] = object_id
    return mask


@pytest.fixture
def center(tmp_path, monkeypatch) -> Iterator[Metric]:
    """A metric of a temporary module, which the table forgets after the test."""
    (tmp_path / "outside_metric.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "outside_metric", raising=False)
    from outside_metric import METRIC

    register(METRIC)
    yield METRIC
    del METRICS["center"]
    EXTRA_METRICS.remove("center")


def test_the_entries_of_j_and_f_are_what_every_frame_is_scored_by():
    rng = np.random.default_rng(0)
    truth = np.kron(rng.integers(0, 7, (6, 8)), np.ones((10, 10), int)).astype(np.uint8)
    truth[:12] = truth[:, :15] = 0  # so that there is something to leave out
    prediction, ids = np.roll(truth, (2, 3), axis=(0, 1)), range(1, 8)
    j, f = frame_scores(prediction, truth, ids)
    np.testing.assert_array_equal(j, METRICS["j"].of_frame(prediction, truth, ids))
    np.testing.assert_array_equal(f, METRICS["f"].of_frame(prediction, truth, ids))
    assert 0 < j[0] < 1 and 0 < f[0] < 1


def test_a_metric_from_outside_is_in_the_files_of_job_score(center, tmp_path):
    truths = {"dog": [square(left) for left in range(5)], "cat": [square(2)] * 5}
    dataset = save_davis(tmp_path / "DAVIS", truths)
    moved = {"dog": [square(left + 4) for left in range(5)], "cat": [square(2)] * 5}
    score = Score(tmp_path / "out")
    assert score(save_masks(tmp_path / "masks", moved), *dataset) == 0
    content = score.scores
    assert content["metrics"] == {"center": 2.0}  # 4 of the dog, 0 of the cat
    assert content["per_object"]["dog_1"]["center"] == 4.0
    (record,) = read_records(tmp_path / "out/records.jsonl")
    assert json.loads(record.metrics) == {"center": {"value": 2.0, **SHOWN}}
    assert (tmp_path / "out/scores.csv").read_text().startswith("sequence,object,class,frames,j_mean")
    assert "jf_mean,center\n" in (tmp_path / "out/scores.csv").read_text()


def test_cells_are_evaluated_again_with_it_and_nothing_is_trained_again(done_grid, learnt, request):
    assert done_grid() == 0
    before = {record.label: (record.config_hash, record.jf_mean) for record in done_grid.records}
    assert all(record.metrics == "" for record in done_grid.records)
    request.getfixturevalue("center")
    assert done_grid() == 0
    assert learnt == []
    for record in done_grid.records:
        found = json.loads(record.metrics)["center"]
        assert found["value"] >= 0 and found["title"] == "Centre (px)"
        assert before[record.label][0] != record.config_hash
        assert before[record.label][1] == record.jf_mean
    scores = [json.loads((cell / "scores.json").read_text()) for cell in done_grid.cells]
    assert sum("metrics" in each for each in scores) == len(before) == len(scores) / 2


def test_the_score_of_an_interrupted_evaluation_is_read_back(center, tiny_run):
    arguments = ["job=evaluate", "method=copy_first_mask"]
    first = run_evaluate(tiny_run, arguments)
    for path in tiny_run.runs.glob("cells/*/record.json"):
        path.unlink()
    assert run_evaluate(tiny_run, arguments) == first


def run_evaluate(tiny_run, arguments: list[str]) -> str:
    kept = [a for a in tiny_run.arguments if not a.startswith(("training", "scale"))]
    assert main([*kept, *arguments]) == 0
    (record,) = tiny_run.records
    assert json.loads(record.metrics)["center"]["value"] > 0
    return record.metrics


def test_a_name_that_is_taken_and_values_that_are_no_numbers_are_told():
    with pytest.raises(ValueError, match="there is a metric 'j' already"):
        register(METRICS["j"])
    wrong = Metric("wrong", "Wrong", lambda *masks: np.array([np.nan]))
    with pytest.raises(ConfigError, match=r"'wrong' gave \[nan\] for 1 object"):
        score_frames("dog", [(1, square(2), square(2))], [1], metrics=[wrong])
