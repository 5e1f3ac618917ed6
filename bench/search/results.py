"""What a search leaves behind: its trials, the best of them as a file of overrides, and what mattered."""

import json
import warnings
from pathlib import Path
from typing import Any

import yaml

from bench.record import Record, to_jsonl
from bench.search.options import OBJECTIVES, Settings
from bench.search.study import latest, load_optuna
from bench.system.files import csv_text, write_json, write_text

ENOUGH = 10  # complete trials to tell what matters


def write_results(study, settings: Settings, keys: list[str], out: Path) -> list[Record]:
    """Write trials.csv, records.jsonl, search.json and, once a trial is complete, the best parameters.

    best.yaml holds those of the highest J&F; with several objectives front/trial-<number>.yaml those of each
    trial that no other beats in all of them. Returns the records of the trials that have ended.
    """
    trials = latest(study)
    rows = [_row(number, trial) for number, trial in sorted(trials.items())]
    front = _front(study, trials, settings)
    records = [Record(**json.loads(row["record"])) for row in rows if row["record"]]
    write_text(out / "title.txt", f"Search: {settings.title or settings.name}\n")
    write_text(out / "records.jsonl", to_jsonl(records))
    write_text(out / "trials.csv", _csv(rows, settings.objectives, keys))
    content = {
        "study": study.study_name,
        "objectives": [
            {"name": name, "label": OBJECTIVES[name].label, "direction": direction}
            for name, direction in zip(settings.objectives, settings.directions, strict=True)
        ],
        "keys": keys,
        "best": front[0] if front else None,
        "front": front,
        "importances": _importances(study, settings),
        "trials": [{key: value for key, value in row.items() if key != "record"} for row in rows],
    }
    write_json(out / "search.json", content)
    _write_best(trials, front, settings, out)
    return records


def _row(number: int, trial) -> dict[str, Any]:
    """States: complete, pruned, failed; running and waiting (to be taken over) ones are not ended."""
    record = trial.user_attrs.get("record", "")
    state = "failed" if trial.state.name == "FAIL" else trial.state.name.lower()
    return {
        "number": number,
        "state": state,
        "values": trial.values if state == "complete" else None,
        "params": trial.params,
        "along": {str(step): value for step, value in trial.intermediate_values.items()},
        "started": trial.datetime_start.isoformat(timespec="seconds") if trial.datetime_start else None,
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "attempts": 1 + len(trial.system_attrs.get("retry_history", [])),
        "status": json.loads(record)["status"] if record else "",
        "record": record,
    }


def _front(study, trials: dict[int, Any], settings: Settings) -> list[int]:
    """Numbers of the best trials, highest J&F first: one, or with several objectives the Pareto front."""
    place = {trial.number: number for number, trial in trials.items()}
    jf = settings.objectives.index("jf")
    best = sorted(study.best_trials, key=lambda trial: -trial.values[jf])
    return [place[trial.number] for trial in (best[:1] if len(settings.objectives) == 1 else best)]


def _importances(study, settings: Settings) -> dict[str, dict[str, float]]:
    """How much each key matters for good values of an objective (PED-ANOVA), in shares; {} for too few trials."""
    optuna = load_optuna()
    if sum(trial.state.name == "COMPLETE" for trial in study.get_trials(deepcopy=False)) < ENOUGH:
        return {}
    found = {}
    for place, (name, direction) in enumerate(zip(settings.objectives, settings.directions, strict=True)):
        sign = -1 if direction == "maximize" else 1  # low values are the good ones here, as Optuna then warns
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shares = optuna.importance.get_param_importances(
                study, target=lambda trial, place=place, sign=sign: sign * trial.values[place]
            )
        if shares:
            found[name] = dict(shares)
    return found


def _csv(rows: list[dict[str, Any]], objectives: list[str], keys: list[str]) -> str:
    last = ("started", "seconds", "attempts", "status")
    lines = [["trial", "state", *objectives, *keys, *last]]
    for row in rows:
        values = row["values"] or [""] * len(objectives)
        params = [row["params"].get(key, "") for key in keys]
        lines.append([row["number"], row["state"], *values, *params, *(row[key] for key in last)])
    return csv_text(lines)


def _write_best(trials: dict[int, Any], front: list[int], settings: Settings, out: Path) -> None:
    for old in (out / "front").glob("trial-*.yaml"):
        old.unlink()
    for number in front:
        trial = trials[number]
        reached = ", ".join(
            f"{OBJECTIVES[name].label} {value:.4g}"
            for name, value in zip(settings.objectives, trial.values, strict=True)
        )
        text = f"# trial {number} of the search '{settings.name}': {reached}, on held-out training data\n"
        text += yaml.safe_dump(trial.params, sort_keys=False)
        if len(settings.objectives) > 1:
            write_text(out / "front" / f"trial-{number}.yaml", text)
        if number == front[0]:
            write_text(out / "best.yaml", text)
