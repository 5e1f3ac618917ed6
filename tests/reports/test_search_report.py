"""What is shown of a search."""

import json

import pytest

from reports.__main__ import main
from reports.figures import write_figures
from reports.figures.search import front_chart, importances_chart
from reports.search import short_names
from reports.texts import MISSING

KEYS = ["recipe.logits.weight", "recipe.dice.weight", "scale.student.lr"]
OBJECTIVES = [
    {"name": "jf", "label": "J&F (%)", "direction": "maximize"},
    {"name": "gmacs", "label": "GMACs", "direction": "minimize"},
]


def trial(number: int, values: list[float] | None, state: str = "complete", **more) -> dict:
    made_up = {"params": dict.fromkeys(KEYS, number / 8), "along": {}, "attempts": 1, "status": "ok"}
    return {"number": number, "state": state, "values": values, **made_up, **more}


@pytest.fixture
def search(tmp_path):
    """Writes a search.json: four trials ended, one of them pruned, and one is at work."""

    def write(objectives: int, front: list[int], trials: int = 6) -> None:
        ends = [(50.0, 4.0), (40.0, 1.0), None, (60.0, 5.0), (55.0, 8.0)]
        found = [trial(n, list(end[:objectives])) for n, end in enumerate(ends) if end]
        found.insert(2, trial(2, None, "pruned", along={"2": 30.0, "10": 35.0}, status="pruned at step 5"))
        found.append(trial(6, None, "running", status="", attempts=2))
        content = {
            "study": "toy-1",
            "objectives": OBJECTIVES[:objectives],
            "keys": KEYS,
            "front": front,
            "importances": {"jf": {KEYS[0]: 0.2, KEYS[2]: 0.8}},
            "trials": found[:trials],
        }
        (tmp_path / "search.json").write_text(json.dumps(content))
        (tmp_path / "title.txt").write_text("Search: toys\n")

    return write


def test_names_are_as_short_as_they_can_be():
    assert list(short_names(KEYS).values()) == ["logits.weight", "dice.weight", "lr"]
    assert short_names(["a.b", "b"]) == {"a.b": "a.b", "b": "b"}


def test_the_table_begins_with_the_best_and_tells_what_became_of_the_others(search, tmp_path):
    search(objectives=1, front=[3])
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / "table.md").read_text()
    lines = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line] for line in lines]
    assert table[0] == ["Trial", "J&F (%)", "logits.weight", "dice.weight", "lr", "Note"]
    assert [row[0] for row in table[2:]] == ["3 *", "4", "0", "1", "2", "6"]
    assert [row[1] for row in table[2:]] == ["60", "55", "50", "40", MISSING, MISSING]
    assert [row[-1] for row in table[6:]] == ["pruned at step 5", "running, 2 attempts"]
    assert "Study toy-1: 4 complete, 1 pruned, 1 running." in page
    assert "# Search: toys" in page


def test_history_shows_the_best_so_far_and_where_pruned_trials_stopped(search, saved, tmp_path):
    search(objectives=1, front=[3])
    names = [path.name for path in write_figures([], tmp_path)]
    assert names == ["history.png", "history.pdf", "importances.png", "importances.pdf", "figures.md"]
    (axis,) = saved[0].axes
    best, dots, pruned = ((line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axis.lines)
    assert best == ([0, 1, 3, 4], [50, 50, 60, 60])
    assert dots == ([0, 1, 3, 4], [50, 40, 60, 55])
    assert pruned == ([2], [35])


def test_importances_are_bars_from_the_least_to_the_most(search, saved, tmp_path):
    search(objectives=1, front=[3])
    importances_chart([], tmp_path)
    (axis,) = saved[0].axes
    assert [bar.get_width() for bar in axis.patches] == [0.2, 0.8]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["logits.weight", "lr"]


def test_the_front_leads_from_cheap_to_good(search, saved, tmp_path):
    search(objectives=2, front=[3, 0, 1])
    assert [path.name for path in front_chart([], tmp_path)] == ["front.png", "front.pdf"]
    (axis,) = saved[0].axes
    front = axis.lines[1]
    assert (list(front.get_xdata()), list(front.get_ydata())) == ([1, 4, 5], [40, 50, 60])
    assert sorted(text.get_text() for text in axis.texts) == ["0", "1", "3"]


def test_before_the_first_trial_has_ended_there_is_a_table_and_no_figure(search, tmp_path):
    search(objectives=1, front=[], trials=0)
    assert write_figures([], tmp_path) == []
    assert main([str(tmp_path)]) == 0
