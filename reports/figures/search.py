"""What a search found: its values over the trials, what mattered for them, and the Pareto front."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from bench.record import Record
from reports.figures import figure
from reports.figures.style import FAINT, INCHES_PER_ROW, SMALL, explain, log_if_wide, marks, panels
from reports.search import short_names


@figure("history", "Values of a search over its trials, and the best so far")
def history_chart(records: list[Record], folder: Path) -> Figure | None:
    """Every objective in a panel, from FOLDER/search.json; None where no trial has ended."""
    content, complete = _read(folder)
    if not complete:
        return None
    drawn, axes = panels(len(content["objectives"]), 7.2, 2.8)
    (good, _), (bad, _) = marks(2)
    for place, (axis, objective) in enumerate(zip(axes, content["objectives"], strict=True)):
        numbers = [trial["number"] for trial in complete]
        values = np.array([trial["values"][place] for trial in complete])
        best = (np.maximum if objective["direction"] == "maximize" else np.minimum).accumulate(values)
        axis.step(numbers, best, where="post", color=good, linewidth=1.8)
        axis.plot(numbers, values, "o", color=good, markersize=5, markeredgecolor="white")
        words = "dots: trials; line: the best so far"
        pruned = [trial for trial in content["trials"] if trial["state"] == "pruned" and trial["along"]]
        if objective["name"] == "jf" and pruned:
            last = [trial["along"][max(trial["along"], key=int)] for trial in pruned]
            axis.plot([trial["number"] for trial in pruned], last, "x", color=bad, markersize=5)
            words += "; crosses: pruned, where they stopped"
        axis.set(xlabel="trial", ylabel=objective["label"])
        axis.locator_params("x", integer=True)
        explain(axis, words)
    return drawn


@figure("importances", "What sets good trials of a search apart")
def importances_chart(records: list[Record], folder: Path) -> Figure | None:
    """A panel for each objective, its keys from the most to the least important; None where nothing is known."""
    content, complete = _read(folder)
    if not complete or not content["importances"]:
        return None
    found = {o["label"]: content["importances"].get(o["name"], {}) for o in content["objectives"]}
    found = {label: shares for label, shares in found.items() if shares}
    names = short_names(content["keys"])
    rows = sum(len(shares) + 2 for shares in found.values())
    drawn, axes = panels(len(found), 7.2, INCHES_PER_ROW * rows / len(found))
    for axis, (label, shares) in zip(axes, found.items(), strict=True):
        ordered = sorted(shares.items(), key=lambda item: item[1])
        axis.barh([names[key] for key, _ in ordered], [share for _, share in ordered], color=marks(1)[0][0])
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"importance for {label}")
        explain(axis, "share of what sets the better trials apart (PED-ANOVA)")
    return drawn


@figure("front", "J&F against each cost of a search; the trials of the Pareto front with their numbers")
def front_chart(records: list[Record], folder: Path) -> Figure | None:
    """None for a search with one objective."""
    content, complete = _read(folder)
    if not complete or len(content["objectives"]) < 2:
        return None
    jf = next(place for place, objective in enumerate(content["objectives"]) if objective["name"] == "jf")
    costs = [place for place in range(len(content["objectives"])) if place != jf]
    drawn, axes = panels(len(costs), 7.2, 3.6)
    colour = marks(1)[0][0]
    line = "-" if len(costs) == 1 else "none"  # with a third objective the front is a surface: its points alone
    for axis, cost in zip(axes, costs, strict=True):
        points = {trial["number"]: (trial["values"][cost], trial["values"][jf]) for trial in complete}
        front = zip(*sorted(points[number] for number in content["front"]), strict=True)
        axis.plot(*zip(*points.values(), strict=True), "o", color=FAINT, markersize=4, alpha=0.7)
        axis.step(*front, where="post", linestyle=line, color=colour, marker="D", markersize=6, mec="white")
        for number in content["front"]:
            axis.annotate(str(number), points[number], xytext=(5, 5), textcoords="offset points", fontsize=SMALL)
        axis.set(xlabel=content["objectives"][cost]["label"], ylabel=content["objectives"][jf]["label"])
        log_if_wide(axis, "x", np.array([x for x, _ in points.values()]))
        explain(axis, "diamonds: the Pareto front, with the trials' numbers; dots: the other trials")
    return drawn


def _read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """FOLDER/search.json, and its trials that have values; nothing where there is no such file."""
    if not (folder / "search.json").is_file():
        return {}, []
    content = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    return content, [trial for trial in content["trials"] if trial["values"]]
