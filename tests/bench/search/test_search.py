"""job=search: what is chosen is the best on held-out data, by any number of workers, whichever of them dies."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from postgresql import postgresql
from toy_search import BEST, toy

from bench.plan.cells import trained_folder
from bench.run.networks import build, train_all
from bench.score import held_out
from bench.score.held_out import held_out_score
from bench.search import study as studies
from bench.search import trial as trials_module
from bench.search.options import Settings
from bench.search.study import latest, open_study

optuna = pytest.importorskip("optuna")
ROOT = Path(__file__).resolve().parents[3]
SPACE = "{recipe.representation.omega: {float: [0, 1]}, scale.student.lr: {float: [0.0001, 0.01], log: true}}"
SEARCH = ["job=search", "~search.space", f"+search.space={SPACE}", "search.reports=0"]
OMEGA = "recipe.representation.omega"
PATIENCE = 300  # seconds; only a failing test waits that long


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, value in {"SCORED_CLIPS": 3, "SCORED_FRAMES": 5}.items():
        monkeypatch.setattr(held_out, name, value)
    monkeypatch.setattr(studies, "SECONDS_BETWEEN_LOOKS", 0.1)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


# A toy in place of trainings.


@pytest.fixture
def start_toy(tmp_path):
    """Starts workers in processes of their own, none of which outlives the test."""
    started = []

    def start(url: str, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, str(Path(__file__).parents[2] / "helpers/toy_search.py"), url, str(tmp_path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen([*command, *arguments], env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server():
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/search.db"
    server = request.getfixturevalue("server")
    import psycopg

    name = f"test_{os.urandom(4).hex()}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return f"{server.rpartition('/')[0]}/{name}"


def opened(url: str, runs: Path):
    return open_study("toy", url, Settings(heartbeat=1), 1, runs)


def test_two_workers_share_a_study_and_find_the_best(url, tmp_path, start_toy):
    """Both start on a database that is not there yet; together they do as many trials as were asked for."""
    workers = [start_toy(url, "16") for _ in range(2)]
    assert [worker.wait(PATIENCE) for worker in workers] == [0, 0]
    study = opened(url, tmp_path)
    assert len(study.trials) == 16
    assert {trial.user_attrs["worker"] for trial in study.trials} == {worker.pid for worker in workers}
    assert (study.best_params, study.best_value) == (BEST, 1)


def test_the_trial_of_a_killed_worker_is_given_to_another(url, tmp_path, start_toy):
    killed = start_toy(url, "4", "hang")
    for _ in range(20 * PATIENCE):
        if (tmp_path / "hanging").exists() or killed.poll() is not None:
            break
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert opened(url, tmp_path).trials[2].state.name == "RUNNING"

    assert start_toy(url, "4").wait(PATIENCE) == 0
    study = opened(url, tmp_path)
    found = latest(study)
    assert len(found) == 4 and {0, 1, 2} <= set(found)  # the second attempt at 2 is number 3 or 4
    assert {trial.state.name for trial in found.values()} == {"COMPLETE"}
    assert found[2].number != 2
    assert study.trials[2].state.name == "FAIL"
    assert found[2].params == study.trials[2].params


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_search_that_is_stopped_goes_on_to_the_trials_of_an_undisturbed_one(sampler, tmp_path):
    def done(name: str) -> list[tuple[dict, list[float]]]:
        study = opened(f"sqlite:///{tmp_path}/{name}.db", tmp_path)
        return [(trial.params, trial.values) for _, trial in sorted(latest(study).items())]

    toy(f"sqlite:///{tmp_path}/whole.db", tmp_path, 14, "finish", sampler)
    parts = f"sqlite:///{tmp_path}/parts.db", tmp_path
    with pytest.raises(KeyboardInterrupt):
        toy(*parts, 6, "stop", sampler)
    assert done("parts")[2][1] is None
    toy(*parts, 6, "finish", sampler)  # and then more of them
    toy(*parts, 14, "finish", sampler)
    assert len(done("whole")) == 14
    assert done("parts") == done("whole")


def test_a_database_of_sqlite_is_read_while_it_is_written(tmp_path):
    import sqlite3

    opened(f"sqlite:///{tmp_path}/search.db", tmp_path)
    assert sqlite3.connect(tmp_path / "search.db").execute("pragma journal_mode").fetchone() == ("wal",)


# From the command line, on networks.


def test_the_best_trial_is_the_best_on_held_out_data_and_its_file_gives_the_same_cell(tiny_run):
    assert tiny_run(*SEARCH, "search.trials=3") == 0
    found = rows(tiny_run.out)
    assert [row["state"] for row in found] == ["complete"] * 3
    best = max(found, key=lambda row: float(row["jf"]))
    params = yaml.safe_load((tiny_run.out / "best.yaml").read_text())
    assert params == {key: float(best[key]) for key in (OMEGA, "scale.student.lr")}
    assert [record.label for record in tiny_run.records] == ["trial 0", "trial 1", "trial 2"]
    searched = tiny_run.records[int(best["trial"])]
    assert searched.jf_mean == pytest.approx(float(best["jf"]))
    assert searched.status == "ok"
    trained = {path: path.stat().st_mtime_ns for path in tiny_run.runs.glob("trained/*/weights.pt")}
    file = (tiny_run.out / "best.yaml").rename(tiny_run.out.parent / "chosen.yaml")

    assert tiny_run("ablation=distillation", "seeds=1", f"overrides={file}") == 0
    distilled = next(record for record in tiny_run.records if record.label == "distilled")
    assert distilled.weights == searched.weights
    now = {path: path.stat().st_mtime_ns for path in tiny_run.runs.glob("trained/*/weights.pt")}
    assert trained.items() <= now.items()
    assert len(now) == len(trained) + 1  # the student that no teacher taught


def test_the_value_of_a_trial_is_its_score_on_videos_that_no_training_saw(tiny_run, monkeypatch):
    seen = []

    def score(method, training, device):
        seen.append((held_out_score(method, training, device), training.data["hold_out"]))
        return seen[-1][0]

    monkeypatch.setattr(trials_module, "held_out_score", score)
    assert tiny_run(*SEARCH, "search.trials=2", "seeds=2") == 0
    assert [share for _, share in seen] == [0.1] * 4
    means = [50 * (seen[i][0] + seen[i + 1][0]) for i in (0, 2)]
    assert [float(row["jf"]) for row in rows(tiny_run.out)] == pytest.approx(means)


def test_more_trials_go_on_with_the_study_and_the_same_parameters_train_once(tiny_run):
    space = [*SEARCH[:2], "+search.space={inference.queue_length: {choice: [1, 2]}}", "search.reports=0"]
    assert tiny_run(*space, "search.trials=2") == 0
    first = rows(tiny_run.out)
    assert tiny_run(*space, "search.trials=4") == 0
    assert rows(tiny_run.out)[:2] == first
    assert len(rows(tiny_run.out)) == 4
    assert len(list(tiny_run.runs.glob("trained/mobilevos_r18-mobilevos-*/weights.pt"))) == 1


def test_a_grid_tries_each_combination_once_and_then_ends(tiny_run):
    space = "{options.queue_length: {int: [1, 3]}, recipe.dice.weight: {choice: [0, 1]}}"
    assert tiny_run(*SEARCH[:2], f"+search.space={space}", "search.reports=0", "search.sampler=grid") == 0
    tried = [(row["options.queue_length"], row["recipe.dice.weight"]) for row in rows(tiny_run.out)]
    assert sorted(tried) == [(queue, dice) for queue in "123" for dice in "01"]


def test_each_trial_is_a_run_of_mlflow_below_its_search(tiny_run):
    from mlflow import MlflowClient

    assert tiny_run(*SEARCH, "search.trials=2") == 0
    client = MlflowClient(f"sqlite:///{tiny_run.runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("search-mobilevos").experiment_id
    runs = client.search_runs([experiment])
    parent = next(run for run in runs if run.data.tags["kind"] == "invocation")
    below = {run.info.run_id: run for run in runs if run is not parent}
    assert {run.data.tags["mlflow.parentRunId"] for run in below.values()} == {parent.info.run_id}
    for row, record in zip(rows(tiny_run.out), tiny_run.records, strict=True):
        run = below[record.mlflow_run_id]
        assert run.data.metrics["objective/jf"] == pytest.approx(float(row["jf"]))
        assert float(run.data.params[OMEGA]) == pytest.approx(float(row[OMEGA]))


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_trials_that_fall_behind_are_stopped_early(pruner, tiny_run, monkeypatch):
    """From the sixth trial on each is worse than all before."""
    scored = []

    def score(method, training, device):
        scored.append(training.key)
        return 0.5 / len(set(scored))

    monkeypatch.setattr(trials_module, "held_out_score", score)
    arguments = [*SEARCH[:3], "search.reports=3", "search.trials=8", "scale.student.steps=4"]
    assert tiny_run(*arguments, f"search.pruner={pruner}") == 0
    found = rows(tiny_run.out)
    pruned = [row for row in found if row["state"] == "pruned"]
    assert found[0]["state"] == "complete"
    assert pruned
    assert all(re.match(r"pruned at step [123] of 4, J&F ", row["status"]) for row in pruned)
    assert {r.status for r in tiny_run.records if r.status != "ok"} == {row["status"] for row in pruned}
    unfinished = [path.parent for path in tiny_run.runs.glob("trained/*/last.pt")]
    assert len(unfinished) == len(pruned)
    assert not any((folder / "weights.pt").exists() for folder in unfinished)


def test_looking_at_a_training_and_stopping_it_change_nothing_of_what_it_becomes(tiny_run, tmp_path):
    from bench.plan.ablation import Data, student_networks
    from bench.plan.compose import load_config
    from bench.plan.data import locate

    config = load_config([*tiny_run.arguments, "teacher.recipe=supervised", "recipe=supervised"])
    network = student_networks(config, Data(locate(config, "training", tmp_path), {}), [0])[0]
    training, weights = network.training, {}
    for name in ("plain", "watched", "stopped"):
        stops = iter(["enough"]) if name == "stopped" else iter([])

        def look(learner, stops=stops):
            method = build_like(network, learner)
            assert 0 <= held_out_score(method, training, "cpu") <= 1
            return next(stops, None)

        runs, on_step = tmp_path / name, None if name == "plain" else look
        failures = train_all([training], runs, "cpu", on_step)
        if name == "stopped":
            assert failures == {training.key: "enough"}
            assert torch.load(trained_folder(training, runs) / "last.pt")["step"] == 1
            assert train_all([training], runs, "cpu") == {}
        weights[name] = build(network, runs, "cpu").state_dict()
    for name in ("watched", "stopped"):
        assert all(torch.equal(weights["plain"][key], weights[name][key]) for key in weights["plain"])


def build_like(network, learner):
    import methods

    method = methods.create(network.method, **network.options)
    method.load_state_dict(learner.evaluated.state_dict())
    return method.eval()


def test_several_objectives_give_the_pareto_front(tiny_run, monkeypatch):
    """The costs are those of the networks as they are trained: a narrow one costs less."""
    monkeypatch.setattr(trials_module, "measured", lambda name, options, *_: {"gmacs_full": 10 * options["width"]})
    lr = "scale.student.lr: {float: [0.001, 0.01]}"
    space = f"+search.space={{options.width: {{choice: [0.125, 0.1875, 0.25]}}, {lr}}}"
    assert tiny_run(*SEARCH[:2], space, "search.trials=5", "search.objectives=[jf,gmacs]") == 0
    points = {int(row["trial"]): (float(row["jf"]), float(row["gmacs"])) for row in rows(tiny_run.out)}
    front = {
        number
        for number, (jf, cost) in points.items()
        if not any(j >= jf and c <= cost and (j, c) != (jf, cost) for j, c in points.values())
    }
    files = {int(path.stem.removeprefix("trial-")) for path in (tiny_run.out / "front").iterdir()}
    assert files == front
    best = max(front, key=lambda number: points[number][0])
    assert json.loads((tiny_run.out / "search.json").read_text())["best"] == best
    assert (tiny_run.out / "best.yaml").read_text() == (tiny_run.out / f"front/trial-{best}.yaml").read_text()


def test_a_trial_that_diverges_fails_alone(tiny_run):
    space = "+search.space={scale.student.lr: {choice: [1.0e+15, 0.001]}}"
    assert tiny_run(*SEARCH[:2], space, "search.trials=4", "search.reports=0") == 0
    states = {row["state"] for row in rows(tiny_run.out)}
    assert states == {"complete", "failed"}
    assert any(record.status.startswith("failed: loss nan") for record in tiny_run.records)


@pytest.mark.slow
def test_two_processes_of_one_command(tiny_run, tiny_davis, tmp_path):
    """Processes of their own score clips of eight frames, which the tiny set has not."""
    from datasets.embedded import EmbeddedSpec, ensure_embedded

    spec = EmbeddedSpec(train_sequences=2, train_frames=8, val_sequences=1, val_frames=3, height=48, width=64)
    data = ensure_embedded(tmp_path / "data", spec, workers=1)
    more = [f"training.root={data}", "workers=2", "search.trials=3"]
    assert tiny_run(*SEARCH, *more) == 0
    assert [row["state"] for row in rows(tiny_run.out)] == ["complete"] * 3


def test_pruning_several_objectives_is_left_out_and_told(tiny_run, monkeypatch, capsys):
    monkeypatch.setattr(trials_module, "measured", lambda *_: {"gmacs_full": 1.0})
    arguments = ["search.trials=1", "search.objectives=[jf,gmacs]", "search.pruner=median", "search.reports=2"]
    assert tiny_run(*SEARCH[:3], *arguments) == 0
    assert "search.pruner=median is left out: Optuna prunes for a single objective" in capsys.readouterr().err
    (row,) = rows(tiny_run.out)
    assert row["state"] == "complete"
