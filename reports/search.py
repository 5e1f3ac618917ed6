"""The trials of a search as a table."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from reports.table import markdown_page
from reports.texts import MISSING

SHOWN = 10  # trials that a terminal shows


def write_search_table(folder: Path, title: str) -> Path:
    """Write table.md from FOLDER/search.json: best trials first, those without a value last; returns its path."""
    content = _read(folder)
    names = short_names(content["keys"])
    rows = [
        [_name(trial, content), *_reached(trial, content), *map(_shown, _chosen(trial, names)), _note(trial)]
        for trial in _best_first(content)
    ]
    columns = ["Trial", *_labels(content), *names.values(), "Note"]
    path = folder / "table.md"
    page = markdown_page(pd.DataFrame(rows, columns=columns), title, _notes(content), ())
    path.write_text(page, encoding="utf-8")
    return path


def compact_search(folder: Path) -> pd.DataFrame:
    """The best trials of FOLDER/search.json, as texts that fit a terminal."""
    content = _read(folder)
    names = short_names(content["keys"])
    rows = [
        [_name(trial, content), *_reached(trial, content), ", ".join(_settings(trial, names)), _note(trial)]
        for trial in _best_first(content)[:SHOWN]
    ]
    return pd.DataFrame(rows, columns=["trial", *_labels(content), "settings", "note"])


def _read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "search.json").read_text(encoding="utf-8"))


def _best_first(content: dict[str, Any]) -> list[dict[str, Any]]:
    sign = -1 if content["objectives"][0]["direction"] == "maximize" else 1
    order = {t["number"]: (not t["values"], sign * (t["values"] or [0])[0], t["number"]) for t in content["trials"]}
    return sorted(content["trials"], key=lambda trial: order[trial["number"]])


def _labels(content: dict[str, Any]) -> list[str]:
    return [objective["label"] for objective in content["objectives"]]


def _name(trial: dict[str, Any], content: dict[str, Any]) -> str:
    return f"{trial['number']}{' *' if trial['number'] in content['front'] else ''}"


def _reached(trial: dict[str, Any], content: dict[str, Any]) -> list[str]:
    return [_shown(value) for value in trial["values"] or [MISSING] * len(content["objectives"])]


def _chosen(trial: dict[str, Any], names: dict[str, str]) -> list[Any]:
    return [trial["params"].get(key, MISSING) for key in names]


def _settings(trial: dict[str, Any], names: dict[str, str]) -> list[str]:
    return [f"{name}={_shown(trial['params'][key])}" for key, name in names.items() if key in trial["params"]]


def short_names(keys: list[str]) -> dict[str, str]:
    """{dotted key: as many of its last parts as tell it from the others}."""
    found = {}
    for key in keys:
        parts = key.split(".")
        endings = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        own = (e for e in endings if sum(f".{other}".endswith(f".{e}") for other in keys) == 1)
        found[key] = next(own, key)
    return found


def _note(trial: dict[str, Any]) -> str:
    note = trial["status"] if trial["status"] != "ok" else ""
    again = f"{trial['attempts']} attempts" if trial["attempts"] > 1 else ""
    return ", ".join(filter(None, [note or ("" if trial["values"] else trial["state"]), again]))


def _notes(content: dict[str, Any]) -> list[str]:
    states = [trial["state"] for trial in content["trials"]]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    best = "the Pareto front" if len(content["objectives"]) > 1 else "the best"
    return [
        f"Study {content['study']}: {counts}.",
        f"*: {best}. J&F is that of held-out training data; the evaluation set chooses nothing.",
        "To train and judge it: ./run_all.sh overrides=best.yaml, the file in this folder.",
    ]


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
