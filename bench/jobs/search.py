"""job=search: hyper-parameters, chosen on held-out training data by any number of workers on one study."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread

from omegaconf import DictConfig, OmegaConf

from bench.jobs.results import results_folder, tell
from bench.plan.ablation import Data, ablation_seeds, check_held_out
from bench.plan.cells import content_hash
from bench.plan.data import locate_all
from bench.run.pool import work_apart
from bench.run.work import Item
from bench.search.options import Settings, read_settings
from bench.search.results import write_results
from bench.search.space import grid_size, read_space
from bench.search.study import latest, load_optuna, open_study, storage_url, work_on
from bench.search.trial import Search, follow, run_trial
from bench.system.databases import without_password, without_passwords
from bench.system.environment import describe_environment, pick_device
from bench.system.errors import ConfigError
from bench.system.files import write_text
from bench.system.progress import Activity, track
from bench.tracking.tracker import Tracker
from bench.train.ranks import ranks_here

SECONDS_BETWEEN_LOOKS = 2.0


def run(config: DictConfig, runs: Path) -> int:
    """Work on the study of this search until it has its trials; 1 when none of them is complete.

    Writes trials.csv, best.yaml, search.json and records.jsonl into the folder of results, also when stopped.
    """
    settings = read_settings(config)
    if settings.sampler == "grid":
        settings = replace(settings, trials=min(settings.trials, grid_size(read_space(settings.space))))
    load_optuna()
    search = _plan(config, settings, runs)
    ranks = ranks_here()
    if not ranks.leads:
        return follow(search)
    _warn(settings, config.workers)
    study = open_study(search.study, search.url, settings, search.reports, runs)
    out = results_folder(config, search.experiment)
    shown = without_passwords(config)
    write_text(out / "config.yaml", OmegaConf.to_yaml(shown))
    print(f"study {search.study} in {without_password(search.url)}", file=sys.stderr)
    keys = [dimension.key for dimension in search.space]
    tracker = Tracker(config.tracking_uri, runs, search.experiment)
    facts = describe_environment(search.device)
    try:
        with tracker.invocation(f"Search: {settings.title}", shown, facts, out), _progress(study, settings):
            search = replace(search, parent=tracker.parent)
            failures: dict[str, str] = {}
            if ranks.size == 1:
                items = [Item((f"worker {n + 1}",), partial(work, search)) for n in range(config.workers)]
                for _, found in work_apart(items, lambda *_: None, config.workers):
                    failures |= found
            else:  # what fails on one of them ends them all
                work(search)
    finally:  # also of a search that is stopped
        records = write_results(study, settings, keys, out)
        tell(out)
    for name, why in failures.items():
        print(f"warning: {name}: {why}", file=sys.stderr)
    return 0 if any(record.status == "ok" for record in records) else 1


def work(search: Search) -> dict[str, str]:
    """The life of one worker, in a process of its own where there are several; returns no failures."""
    study = open_study(search.study, search.url, search.settings, search.reports, search.runs)
    tracker = Tracker(search.config.tracking_uri, search.runs, search.experiment, quiet=True)
    tracker.parent = search.parent
    work_on(study, search.settings, search.runs, lambda trial, chosen: run_trial(trial, chosen, search, tracker))
    ranks_here().from_first(lambda: None)  # there are no more trials
    tracker.close()
    return {}


def _plan(config: DictConfig, settings: Settings, runs: Path) -> Search:
    """Everything a user can get wrong is told here, before anything is trained."""
    space, seeds, device = read_space(settings.space), ablation_seeds(config), pick_device(config.device)
    url = storage_url(settings, runs)
    found = locate_all(config, runs, "training")
    data = Data(found.pop("training"), {}, found)
    name = f"search-{settings.name}"
    search = Search(config, data, settings, space, seeds, "", url, runs, device, name)
    plain = [search.student({}, seed) for seed in seeds]
    check_held_out(f"search '{settings.name}'", plain[0][1])
    for dimension in space:
        keys = {search.student({dimension.key: value}, seeds[0])[0].key for value in dimension.probes}
        if len(keys) < 2:
            raise ConfigError(
                f"search.space: {dimension.key}: its values make no difference to the networks that are trained"
            )
    # Everything that trials of one study have in common: with anything else, it is another study.
    content = [[network.key for network, _ in plain], settings.space, settings.objectives]
    return replace(search, study=f"{settings.name}-{content_hash(content)}")


def _warn(settings: Settings, workers: int) -> None:
    several = len(settings.objectives) > 1
    if several and settings.pruner not in (None, "none"):
        text = f"search.pruner={settings.pruner} is left out: Optuna prunes for a single objective alone"
        warnings.warn(text, stacklevel=2)
    if "latency" in settings.objectives and workers > 1:
        text = "latency is measured while other workers compute: workers=1 gives the true one"
        warnings.warn(text, stacklevel=2)


@contextmanager
def _progress(study, settings: Settings) -> Iterator[None]:
    """A bar over all trials of the study, whoever works on them."""
    done = Event()
    ended = sum(trial.state.is_finished() for trial in latest(study).values())

    def follow(bar: Activity) -> None:
        last = False
        while not last:
            last = done.wait(SECONDS_BETWEEN_LOOKS)
            trials = latest(study).values()
            states = [trial.state.name for trial in trials if trial.state.is_finished()]
            reached = [t.values[settings.objectives.index("jf")] for t in trials if t.state.name == "COMPLETE"]
            found = [f"J&F {max(reached):.1f}"] if reached else []
            found += [f"{states.count(name)} {name.lower()}" for name in ("PRUNED", "FAIL") if name in states]
            bar.update(len(states) - bar.done, ", ".join(found))

    with track("search", settings.name, settings.trials, "trials", ended) as bar:
        thread = Thread(target=follow, args=(bar,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
