"""The study of a search: trials in a database that any number of workers share, on any machine.

A database and no journal file, as only there a worker shows that it lives: the trial of one that died is given
to another, whereas in a journal it would be at work for ever.
"""

import sqlite3
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.plan.cells import content_hash
from bench.search.options import Settings
from bench.system.databases import BUSY, INSTALL_POSTGRESQL, PATIENCE, first_use, hide, without_password
from bench.system.errors import ConfigError

INSTALL = ".venv/bin/python -m pip install -e '.[search]' -c constraints.txt"
CONNECTION = {"sqlite": {"timeout": BUSY}, "postgresql": {"connect_timeout": PATIENCE}}
SILENCE = 6  # heartbeats that a worker may miss before its trial is given to another
RETRIES = 5  # of a trial whose worker dies: more, and it is the trial that kills
SECONDS_BETWEEN_LOOKS = 1.0


class TrialFailed(Exception):
    """A trial gave no value; the others go on."""


def load_optuna():
    """Optuna, without its news of every trial; ConfigError when it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError:
        raise ConfigError(f"job=search needs Optuna: {INSTALL}") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # heartbeats
    return optuna


def storage_url(settings: Settings, runs: Path) -> str:
    """The SQLAlchemy address of the database; ConfigError for what is none."""
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if settings.storage is None:
        return URL.create("sqlite", database=str(runs / "search.db")).render_as_string()
    try:
        url = make_url(settings.storage)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in CONNECTION or url.database in (None, "", ":memory:"):
        raise ConfigError(
            f"search.storage={without_password(settings.storage)}: give sqlite:////path/to/file.db or "
            "postgresql+psycopg://user:password@host/database"
        )
    return settings.storage


def open_study(name: str, url: str, settings: Settings, reports: int, runs: Path):
    """The `optuna.Study` of this name, made where there is none. `reports`: the most that a trial gives.

    Raises ConfigError for a database that cannot be reached.
    """
    optuna = load_optuna()
    pruner = optuna.pruners.NopPruner()
    if settings.prunes and settings.pruner == "hyperband":
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=reports, reduction_factor=3)
    elif settings.prunes:
        pruner = optuna.pruners.MedianPruner()
    runs.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        study_name=name,
        storage=_storage(optuna, url, settings),
        directions=settings.directions,
        pruner=pruner,
        load_if_exists=True,
    )


def _storage(optuna, url: str, settings: Settings):
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    backend = make_url(url).get_backend_name()
    try:
        with first_use(url):
            return optuna.storages.RDBStorage(
                url,
                engine_kwargs={"connect_args": CONNECTION[backend], "pool_pre_ping": True},
                heartbeat_interval=settings.heartbeat,
                grace_period=SILENCE * settings.heartbeat,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(RETRIES),
            )
    except ImportError:
        raise ConfigError(f"search.storage={without_password(url)} has no driver: {INSTALL_POSTGRESQL}") from None
    except (SQLAlchemyError, sqlite3.Error, OSError, optuna.exceptions.OptunaError, RuntimeError) as error:
        reason = hide(str(error.__cause__ or error).strip().splitlines()[0], url)
        raise ConfigError(f"search.storage={without_password(url)} cannot be reached: {reason}") from None


def latest(study) -> dict[int, Any]:
    """The trials by number. One that was given to another worker, perhaps often, has the number of the first
    attempt and is what the last one makes of it."""
    return {first_number(trial): trial for trial in study.get_trials(deepcopy=False)}


def first_number(trial) -> int:
    """Of the first attempt at this `optuna.trial.FrozenTrial`."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    first = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return trial.number if first is None else first


def work_on(study, settings: Settings, runs: Path, objective: Callable) -> None:
    """Start trials until there are `settings.trials`, and take over those of workers that have died meanwhile.

    `objective(trial, chosen)` returns the values of a trial; it calls `chosen()` once the trial has its
    parameters. May raise TrialFailed or optuna.TrialPruned; a trial in which anything else is raised is
    given to the next worker, and the error is raised here.
    """
    optuna = load_optuna()
    waiting, running = optuna.trial.TrialState.WAITING, optuna.trial.TrialState.RUNNING
    turn = FileLock(runs / "search.lock")  # to count and to start: otherwise workers would go beyond `trials`
    lost = []

    def attempt(trial):
        try:
            return objective(trial, turn.release)
        except (TrialFailed, optuna.TrialPruned):
            raise
        except optuna.exceptions.UpdateFinishedTrialError:
            lost.append(trial)
            raise
        except BaseException:  # ^C, say
            stopped = study.get_trials(deepcopy=False)[trial.number]
            optuna.storages.RetryHeartbeatStaleTrialCallback()(study, stopped)
            raise

    while True:
        with turn:
            optuna.storages.fail_stale_trials(study)
            trials = latest(study)
            states = {trial.state for trial in trials.values()}
            started = waiting in states or len(trials) < settings.trials
            if started:
                study.sampler = _sampler(optuna, settings, len(trials))
                try:
                    study.optimize(attempt, n_trials=1, catch=(TrialFailed,))
                except ValueError:
                    # This machine slept so long that its trial was given away; Optuna cannot end it a second time.
                    if not lost:
                        raise
                    lost.clear()
        if not started:
            if running not in states:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)  # the worker of a trial at work may yet die


def _sampler(optuna, settings: Settings, number: int):
    """For one trial: its draws depend on nothing but the seed, its number and the trials before it."""
    seed = int(content_hash([settings.seed, number])[:8], 16)
    if settings.sampler == "nsga2":
        return optuna.samplers.NSGAIISampler(population_size=settings.population, seed=seed)
    names = {"random": "RandomSampler", "grid": "BruteForceSampler", "tpe": "TPESampler"}
    return getattr(optuna.samplers, names[settings.sampler])(seed=seed)
