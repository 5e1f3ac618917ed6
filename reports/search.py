"""The trials of a search as a table."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from reports.table import markdown_page
from reports.texts import MISSING


def write_search_table(folder: Path, title: str) -> Path:
    """Write table.md from FOLDER/search.json: best trials first, those without a value last; returns its path."""
    content = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    sign = -1 if content["objectives"][0]["direction"] == "maximize" else 1
    order = {t["number"]: (not t["values"], sign * (t["values"] or [0])[0], t["number"]) for t in content["trials"]}
    trials = sorted(content["trials"], key=lambda trial: order[trial["number"]])
    objectives = [objective["label"] for objective in content["objectives"]]
    names = short_names(content["keys"])
    rows = [
        [
            f"{trial['number']}{' *' if trial['number'] in content['front'] else ''}",
            *(_shown(value) for value in trial["values"] or [MISSING] * len(objectives)),
            *(_shown(trial["params"].get(key, MISSING)) for key in names),
            _note(trial),
        ]
        for trial in trials
    ]
    table = pd.DataFrame(rows, columns=["Trial", *objectives, *names.values(), "Note"])
    path = folder / "table.md"
    path.write_text(markdown_page(table, title, _notes(content), ()), encoding="utf-8")
    return path


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
