"""What a terminal shows at the end of a run."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bench.plan.compose import load_config
from bench.record import to_jsonl
from reports.__main__ import main
from reports.compact import GAIN, compact, sentences
from reports.next_steps import DEFAULT, REPORT, STEPS, STUDY, next_steps
from reports.screen import WIDTH, Screen
from reports.tables import tabulate

LONG = "temperature=0.25, lambda=0.5, labels=teacher, sampling=near_boundary"


def shown(records, capsys) -> str:
    table = compact(records, tabulate(records, "T").numbers)
    Screen("A study", table, sentences(records, table), [], []).show()
    return capsys.readouterr().out


def rows(text: str) -> dict[str, str]:
    """{first word of a line: the line} of the table."""
    return {line.split()[0]: line for line in text.splitlines() if line.strip()}


def test_a_row_has_its_score_gain_verdict_and_costs(make_cell, capsys):
    records = [make_cell("plain", seed, 50.0 + seed) for seed in range(3)]
    records += [make_cell("better", seed, 60.0 + seed) for seed in range(3)]
    records.append(make_cell("copied", 0, 20.0, train_steps=0))
    text = shown(records, capsys)
    assert "\x1b" not in text
    heads = re.split(r"\s{2,}", text.splitlines()[2].strip())
    assert heads == ["method", "J&F", GAIN, "params (M)", "GMACs", "ms"]
    assert re.split(r"\s{2,}", rows(text)["plain"].strip()) == [
        "plain",
        "51.0 ± 1.0",
        "reference",
        "8.10",
        "20.0",
        "450",
    ]
    assert "61.0 ± 1.0   +10.0 [+10.0, +10.0] significant" in rows(text)["better"]
    assert "± standard deviation over 3 seeds" in text


def test_failed_and_interrupted_rows_say_so(make_cell, make_failed_cell, capsys):
    why = "interrupted: trained for 120 of 1000 steps, and then a great many words that nobody has the room for"
    records = [make_cell("plain", 0, 50.0), make_cell("half", 0, 51.0), make_failed_cell("half", 1, "failed: nan")]
    text = shown([*records, make_failed_cell("stopped", 0, why)], capsys)
    assert "half (1 of 2 seeds)" in text
    assert "interrupted: trained for 120 of" in rows(text)["stopped"]
    assert "room for" not in text


def test_the_mark_of_a_busy_machine_is_in_the_cell_and_explained(make_cell, capsys, tmp_path):
    disturbed = make_cell("plain", 0, 50.0, busy=json.dumps(["latency_ms_median_full"]))
    records = [disturbed, make_cell("other", 0, 50.0)]
    text = shown(records, capsys)
    assert rows(text)["plain"].rstrip().endswith("450 busy")
    assert "busy" not in rows(text)["other"]
    assert "busy: other processes" in text
    table = tabulate(records, "T")
    assert "450 busy" in table.texts.to_numpy()
    assert any(sentence.startswith("busy: other processes") for sentence in table.sentences)
    assert list(table.numbers["busy"]) == ["latency_ms_median_full", ""]


def test_without_measured_costs_those_of_the_trained_networks_are_shown(make_cell, capsys):
    none = {"params_m_full": None, "gmacs_full": None, "latency_ms_median_full": None}
    text = shown([make_cell("plain", 0, 50.0, latency_ms_median=12.0, **none)], capsys)
    assert "Costs are of the trained network." in text
    assert rows(text)["plain"].split()[-2:] == ["0.400", "12.0"]


@pytest.mark.parametrize("label", [LONG, "x" * 200, "[bold]bracket[/bold] \x1b[31m\r" + LONG, "ÄÖ " * 30])
def test_the_table_fits_whatever_rows_are_called(make_cell, capsys, label):
    records = [make_cell(f"{label} {n}", seed, 50.0 + n + seed * n) for n in range(3) for seed in range(3)]
    text = shown(records, capsys)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" not in text
    assert "\r" not in text
    assert re.sub(r"\W", "", label.replace("\x1b", "").replace("\r", ""))[:8] in re.sub(r"[^\w]", "", text)


def test_what_to_open_and_to_try_stands_below_and_long_commands_are_not_broken(capsys):
    command = "./run_all.sh job=segment weights=/" + "long/" * 30 + "weights.pt"
    files = [(Path.cwd() / "out/table.md", "every column")]
    Screen("T", pd.DataFrame({"method": ["a"]}), [], files, [(command, "why"), ("./run_all.sh", "again")]).show()
    lines = capsys.readouterr().out.splitlines()
    assert "  out/table.md  every column" in lines
    assert lines[lines.index(f"  {command}") + 1] == "      why"
    assert "  ./run_all.sh  again" in lines


SHOW = """
import pandas as pd
from reports.screen import Screen
table = pd.DataFrame({"method": ["a", "b"], "gain": ["reference", "+10.0 [+1, +2] significant"]})
Screen("T", table, [], [], []).show()
"""


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(no_color, coloured):
    ours, theirs = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "NO_COLOR": no_color}
    subprocess.run([sys.executable, "-c", SHOW], stdout=theirs, env=variables, check=True)
    os.close(theirs)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert ("\x1b[32m" in seen) == coloured
    assert ("\x1b" in seen) == coloured


def test_a_stream_without_its_letters_gets_others(monkeypatch):
    """As of a run in the background of a system without a locale."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    Screen("T", pd.DataFrame({"method": ["a"], "J&F": ["1 ± 2"]}), [], [], []).show()
    stream.flush()
    assert b"1 \\xb1 2" in stream.buffer.getvalue()


DATA = {"name": "davis2016", "kind": "davis", "root": "/data/DAVIS"}


@pytest.mark.parametrize("job", ["ablate", "compare", *STEPS])
def test_what_to_try_next_are_three_commands_that_are_understood(make_cell, job, tmp_path):
    (tmp_path / "best.yaml").write_text("recipe.representation.omega: 0.5\n")
    records = [make_cell("a", 0, 50.0, weights="/runs/a.pt"), make_cell("b", 0, 60.0, weights="/runs/b.pt")]
    commands = set()
    for name, dataset in (("distillation", DATA), ("sampling", {"name": "embedded", "kind": "embedded"})):
        settings = {"job": job, "ablation": {"name": name}, "dataset": dataset, "predictions": str(tmp_path)}
        found = next_steps(records, settings, tmp_path)
        assert len(dict(found)) == 3
        assert all(why for _, why in found)
        commands |= {command for command, _ in found}
    for command in commands - {REPORT[0], STUDY[0], DEFAULT[0]}:
        assert command.startswith("./run_all.sh ")
        load_config(command.split()[1:])


def test_a_video_of_ones_own_is_segmented_by_the_best_of_the_run(make_cell, tmp_path):
    records = [
        make_cell("a", 0, 70.0),
        *(make_cell(x, 0, 50.0 + len(x), weights=f"/runs/{x}.pt") for x in ("b", "bb")),
    ]
    commands = [command for command, _ in next_steps(records, {"job": "ablate"}, tmp_path)]
    assert sum("weights=/runs/bb.pt" in command for command in commands) == 1


def test_what_was_interrupted_goes_on_first(make_cell, make_failed_cell, tmp_path):
    records = [make_cell("a", 0, 50.0), make_failed_cell("b", 0, "interrupted: not evaluated yet")]
    assert next_steps(records, {}, tmp_path)[0][0] == "the same command again"


def test_a_folder_without_settings_has_a_screen(records, saved, tmp_path, capsys):
    (tmp_path / "records.jsonl").write_text(to_jsonl(records))
    (tmp_path / "config.yaml").write_text("[not: {a configuration")
    assert main([str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "Δ" not in text  # the whole table stays in its file
    assert text.count("./run_all.sh") == 3
