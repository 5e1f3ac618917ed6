"""Names that somebody else has chosen, in tables, pages and csv files: they are shown, and do nothing."""

import csv
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.record import Record, to_jsonl
from reports.__main__ import main
from reports.html import from_markdown, show_table
from reports.latex import escape
from reports.table import Table, csv_text
from reports.tables import write_tables
from reports.texts import markdown_cell

ROOT = Path(__file__).resolve().parents[2]
NAMES = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![x](http://evil/a)", "[x](javascript:alert(1))",
    "a | b |", "a\n# b", "\x1b[2Jx", "\u202eevil", "<!-- a", "</table>",
]  # fmt: skip


def record(label: str) -> Record:
    return Record(label=label, method=label, recipe="none", dataset="d", seed=0, jf_mean=50.0, j_mean=50.0,
                  f_mean=50.0, sequences=1, objects=1, per_sequence='{"=1+1": 50.0, "b": 40.0}')  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_table_does_nothing(tmp_path, name):
    write_tables([record(name), record("plain")], tmp_path, f"{name} on d")
    text = (tmp_path / "table.md").read_text()
    assert "<" not in text.replace("&lt;", "") and "\x1b" not in text and "\u202e" not in text
    html = from_markdown(text)
    assert not re.search(r"<(script|img|!--)|href=.?(javascript|http://evil)", html)
    assert html.count("<tr>") == from_markdown(text.replace(markdown_cell(name), "plain")).count("<tr>")
    assert "\x1b" not in (tmp_path / "table.tex").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_on_the_page_does_nothing(name):
    shown = show_table(Table(name, pd.DataFrame({"Method": [name]}), [name], pd.DataFrame()))
    tags = set(re.findall(r"<(\w+)", shown.html))
    assert tags <= {"p", "div", "table", "thead", "tr", "th", "tbody", "td", "details", "summary", "ul", "li"}
    assert "<" not in shown.markdown.replace("&lt;", "")


def test_a_name_in_latex_is_text():
    assert escape("\\input{/etc/passwd} $x$ \x1b[2J") == (r"\textbackslash{}input\{/etc/passwd\} \$x\$ {[}2J")


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-x", "@SUM(A1)", "-2.5"])
def test_a_name_in_a_csv_file_is_no_formula_and_numbers_stay(tmp_path, name):
    (row,) = csv.DictReader(csv_text(pd.DataFrame({"label": [name], "x": [-1.5]})).splitlines())
    assert row["x"] == "-1.5"
    assert row["label"] == (name if name in ("+1", "-2.5") else f"'{name}")
    write_tables([record(name)], tmp_path, "title")
    with (tmp_path / "sequences.csv").open() as file:
        assert next(csv.reader(file)) == ["label", "'=1+1", "b"]


def reports(folder: Path, **more) -> subprocess.Popen:
    command = [sys.executable, "-m", "reports", str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_a_reader_that_leaves_ends_it_quietly(tmp_path):
    (tmp_path / "records.jsonl").write_text(to_jsonl([record("plain"), replace(record("plain"), seed=1)]))
    with reports(tmp_path) as process:
        process.stdout.close()
        assert (process.wait(), process.stderr.read()) == (141, "")


@pytest.mark.parametrize("content", [b"[]", b"{", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("name", ["measure.json", "search.json", "report.json"])
def test_other_json_is_told_in_a_line(tmp_path, capsys, name, content):
    (tmp_path / "records.jsonl").write_text(to_jsonl([record("plain")]))
    (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path)]) == 2
    assert re.fullmatch(r"error: .+\n", capsys.readouterr().err)


def test_a_folder_in_the_place_of_a_file_is_told_in_a_line(tmp_path):
    (tmp_path / "records.jsonl").write_text(to_jsonl([record("plain")]))
    (tmp_path / "table.md").mkdir()
    with reports(tmp_path) as process:
        assert process.wait() == 2
        assert process.stderr.read() == f"error: [Errno 21] Is a directory: '{tmp_path}/table.md'\n"
