"""What a report finds in an MLflow store: the newest finished result of each kind, with whole records."""

import pytest

from reports.results import Result, read_results


@pytest.fixture(scope="module")
def runs(tmp_path_factory, write_result, make_cell):
    """A store of six commands, one after the other."""
    runs = tmp_path_factory.mktemp("runs")
    write_result(runs, "sampling", [make_cell("random", 0, 40.0)], title="Old")
    write_result(runs, "sampling", [make_cell("random", 0, 50.0, overlay="a.png")], title="New")
    write_result(runs, "sampling", None, title="Killed")
    write_result(runs, "elsewhere", [make_cell("random", 0, 60.0)], ablation="sampling", dataset="davis2017")
    write_result(runs, "kd", None)
    write_result(runs, "evaluate-stcn-davis2017", [make_cell("stcn", 0, 80.0)], job="evaluate")
    return runs


@pytest.fixture(scope="module")
def results(runs) -> dict[str, Result]:
    return {result.name: result for result in read_results(f"sqlite:///{runs / 'mlflow.db'}")}


def test_results_are_told_apart_by_what_was_run_on_what(results):
    assert list(results) == [
        "sampling-mobilevos_r18-embedded-laptop",
        "sampling-mobilevos_r18-davis2017-laptop",
        "kd-mobilevos_r18-embedded-laptop",
        "evaluate-stcn-davis2017",
    ]
    assert results["evaluate-stcn-davis2017"].ablation == "", "another job has none, whatever its configuration"


def test_the_newest_result_counts_that_has_ended(results):
    found = results["sampling-mobilevos_r18-embedded-laptop"]
    assert (found.title, found.job, found.ablation) == ("New", "ablate", "sampling")
    assert results["kd-mobilevos_r18-embedded-laptop"].records == [], "begun, and never ended"


def test_records_are_whole(results, runs):
    found = results["sampling-mobilevos_r18-embedded-laptop"]
    (record,) = found.records
    assert (record.jf_mean, record.overlay) == (50.0, "a.png")
    assert record.per_sequence
    assert found.folder == runs / "out/sampling"
