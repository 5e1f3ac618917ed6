"""One trial: networks trained with the parameters that it drew, and what they are worth on held-out data."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import DictConfig

import methods
from bench.measure.full_size import measured
from bench.plan.ablation import Data, student_networks
from bench.plan.cells import Network, Training, content_hash
from bench.plan.compose import with_override
from bench.record import Record
from bench.run.networks import build, describe, train_all
from bench.score.held_out import held_out_score
from bench.search.options import OBJECTIVES, Settings
from bench.search.space import Dimension
from bench.search.study import TrialFailed, first_number
from bench.system.environment import describe_environment
from bench.train.learner import Learner
from bench.train.ranks import ranks_here


@dataclass(frozen=True)
class Search:
    """What all trials share. `study` and `url` say where they are kept; `parent`: our id of MLflow's run above."""

    config: DictConfig
    data: Data
    settings: Settings
    space: list[Dimension]
    seeds: list[int]
    study: str
    url: str
    runs: Path
    device: str
    experiment: str
    parent: str | None = None

    @property
    def reports(self) -> int:
        """The most that a trial tells the pruner."""
        return self.settings.reports * len(self.seeds)

    def student(self, params: dict[str, Any], seed: int) -> tuple[Network, Training]:
        """The student of the configuration with these values of its keys, and its training."""
        config = self.config
        for key, value in params.items():
            config = with_override(config, key, value)
        network = student_networks(config, self.data, [seed])[seed]
        assert network.training is not None
        return network, network.training


@dataclass
class Watch:
    """Tells a trial the J&F of its network along a training, and stops it when the pruner says so."""

    trial: Any
    network: Network
    training: Training
    search: Search
    before: list[float]  # J&F of the networks of other seeds
    stopped: str | None = None

    def __call__(self, learner: Learner) -> str | None:
        from optuna.exceptions import UpdateFinishedTrialError

        total, count, device = self.training.schedule.steps, self.search.settings.reports, self.search.device
        reports = {round(total * n / (count + 1)): len(self.before) * count + n for n in range(1, count + 1)}
        if learner.step not in reports or not 0 < learner.step < total:
            return None
        method: Any = methods.create(self.network.method, **self.network.options)
        method.load_state_dict(learner.evaluated.state_dict())
        score = 100 * held_out_score(method.to(device).eval(), self.training, device)
        try:  # of several seeds, J&F is the mean over those trained so far
            self.trial.report(fmean([*self.before, score]), reports[learner.step])
            behind = self.trial.should_prune()
        except UpdateFinishedTrialError:  # given to another worker: here it ends
            behind = True
        if behind:
            self.stopped = f"pruned at step {learner.step} of {learner.schedule.steps}, J&F {score:.1f}"
        return self.stopped


def run_trial(trial, chosen: Callable[[], None], search: Search, tracker) -> list[float]:
    """The values of the objectives; the trial keeps its record, and MLflow gets a run.

    Raises TrialFailed when a training does and optuna.TrialPruned for a trial that fell behind.
    """
    from optuna import TrialPruned

    params = ranks_here().from_first(lambda: {d.key: d.suggest(trial) for d in search.space})
    chosen()
    students = [search.student(params, seed) for seed in search.seeds]
    first = students[0][0]
    record = _blank(trial, params, *students[0], search)
    scores: list[float] = []
    for network, training in students:
        watch = Watch(trial, network, training, search, scores)
        on_step = watch if search.settings.prunes else None
        if failure := train_all([training], search.runs, search.device, on_step).get(training.key):
            status = failure if watch.stopped else f"failed: {failure}"
            _keep(trial, replace(record, status=status), tracker)
            raise TrialPruned if watch.stopped else TrialFailed(failure)
        scores.append(100 * held_out_score(build(network, search.runs, search.device), training, search.device))
    values = {"jf": fmean(scores), **_costs(first, search)}
    record = replace(record, **describe(first, search.runs), jf_mean=values["jf"])
    _keep(trial, record, tracker, values)
    return [values[name] for name in search.settings.objectives]


def follow(search: Search) -> int:
    """Take part, in a rank after the first, in the trainings of its trials."""
    on_step = (lambda _: None) if search.settings.prunes else None  # the first one's is asked
    params: Any
    while (params := ranks_here().from_first(dict)) is not None:
        for seed in search.seeds:
            if train_all([search.student(params, seed)[1]], search.runs, search.device, on_step):
                break
    return 0


def _costs(network: Network, search: Search) -> dict[str, float]:
    """What the objectives need: the costs at 480x864 of the very network that was trained, narrow or not."""
    wanted = {name: OBJECTIVES[name] for name in search.settings.objectives if name != "jf"}
    if not wanted:
        return {}
    needed = list({objective.measurement for objective in wanted.values()})
    found = measured(network.method, network.options, needed, search.runs, search.device)
    return {name: float(found[objective.cost]) for name, objective in wanted.items()}


def _blank(trial, params: dict[str, Any], network: Network, training: Training, search: Search) -> Record:
    facts: dict[str, Any] = describe_environment(search.device)
    number = first_number(trial.study.get_trials(deepcopy=False)[trial.number])
    return Record(
        label=f"trial {number}",
        method=network.method,
        recipe=training.recipe.name,
        dataset=f"{training.data['name']} (held out)",
        seed=search.seeds[0],
        scale=search.config.scale.name,
        options=json.dumps(network.options, sort_keys=True),
        varied=json.dumps(params),
        config_hash=content_hash([search.study, number]),
        **facts,
    )


def _keep(trial, record: Record, tracker, values: dict[str, float] | None = None) -> None:
    along = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
    trial.set_user_attr("record", json.dumps(vars(tracker.log_trial(record, values or {}, along))))
