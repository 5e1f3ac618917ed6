"""Records become a table in Markdown, LaTeX and csv that nobody can misread."""

import json
import math
import re
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.record import to_jsonl
from reports.__main__ import main
from reports.tables import summarize, write_tables
from reports.texts import three_digits

ROOT = Path(__file__).resolve().parents[2]


def test_a_row_per_label_in_order_with_mean_and_sample_deviation(records):
    table = summarize(records)
    assert list(table["Method"]) == ["teacher", "plain", "near_boundary", "omega=1 & soft"]
    # 50 and 51: mean 50.5, sample deviation sqrt(1/2); 54 and 56: 55 and sqrt(2); one seed has no deviation.
    assert list(table["J&F"])[1:3] == ["50.5 ± 0.7", "55.0 ± 1.4"]
    assert list(table["J"])[1:3] == ["48.5 ± 0.7", "53.0 ± 1.4"]
    assert list(table["F"])[1:3] == ["52.5 ± 0.7", "57.0 ± 1.4"]
    assert "±" not in table["J&F"][0]
    assert list(table["Seeds"]) == ["1", "2", "2", "2"]
    assert list(table["Params trained (M)"]) == ["2.70", "0.400", "0.400", "0.400"]
    assert list(table["Params full size (M)"]) == ["54.4", "8.10", "8.10", "8.10"]
    assert list(table["GMACs full size (torch)"]) == ["180", "20.0", "20.0", "20.0"]
    assert list(table["GMACs full size (thop)"]) == ["—"] * 4
    assert list(table["FPS trained"])[:2] == ["40.0", "40.5"]


def test_seeds_without_a_score_are_shown_in_their_own_words(records, make_failed_cell, tmp_path):
    records[4] = make_failed_cell("near_boundary", 1, "interrupted: at step 7")
    records += [make_failed_cell("broken", seed, "failed: out of memory |\nbuy more") for seed in (0, 1)]
    records.append(make_failed_cell("waiting", 0, "not run: no teacher"))
    table = summarize(records).set_index("Method")
    assert table.loc["near_boundary", "J&F"] == "54.0"
    assert table.loc["near_boundary", "Initialisation"] == "random", "as the seed that succeeded says"
    assert table.loc["broken", "J&F"] == "failed: out of memory | buy more"
    assert table.loc["waiting", "J&F"] == "not run: no teacher"
    assert list(table["Seeds"]) == ["1", "2", "1/2", "2", "0/2", "0/1"]

    write_tables(records, tmp_path, "Losses")
    text = (tmp_path / "table.md").read_text()
    assert "- near_boundary, seed 1: interrupted: at step 7." in text
    assert "- broken, seed 0: failed: out of memory | buy more." in text
    assert "- waiting, seed 0: not run: no teacher." in text
    assert r"| failed: out of memory \| buy more |" in text
    rows = pd.read_csv(tmp_path / "table.csv").set_index("label")
    assert rows.loc["near_boundary", "status"] == "seed 1: interrupted: at step 7"
    assert list(rows.loc["near_boundary", ["cells", "n"]]) == [2, 1]
    assert math.isnan(rows.loc["broken", "jf_mean"])


def test_a_long_status_fits_its_cell(make_failed_cell):
    cell = summarize([make_failed_cell("broken", 0, f"failed: {'x' * 500}")])["J&F"][0]
    assert len(cell) < 80
    assert cell.startswith("failed: xxx")
    assert cell.endswith("…")


def test_a_table_of_failures_alone_is_written(make_failed_cell, tmp_path):
    write_tables([make_failed_cell("broken", 0, "failed: killed")], tmp_path, "Losses")
    text = (tmp_path / "table.md").read_text()
    assert "| broken | failed: killed | 0/1 |" in text
    assert "Δ" not in text


def test_scores_on_different_data_are_never_averaged(make_cell):
    table = summarize([make_cell("plain", 0, 50), make_cell("plain", 0, 80, dataset="other-val")])
    assert list(table["Method"]) == ["plain (toy-val)", "plain (other-val)"]
    assert list(table["J&F"]) == ["50.0", "80.0"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(54.43, "54.4"), (8.1, "8.10"), (0.0512, "0.051"), (1234.5, "1234"), (0, "0"), (math.nan, "—")],
)
def test_costs_have_about_three_digits(value, text):
    assert three_digits(value) == text


def test_markdown_says_what_was_measured_and_on_what(records, tmp_path):
    write_tables(records, tmp_path, "Losses (ours)")
    text = (tmp_path / "table.md").read_text()
    measured, published = text.split("## Published")
    assert measured.startswith("# Losses (ours)\n")
    assert (
        "| plain | 50.5 ± 0.7 | 48.5 ± 0.7 | 52.5 ± 0.7 | 2 | reference | — "
        "| 0.400 | 8.10 | 20.0 | 40.5 | 90.6 [V2] | 80.2 [V2] or 83.7 [I] |" in measured
    )
    for words in (
        "toy-val: 3 sequences, 5 objects, resolution 96x160",
        "device: a slow CPU",
        "scale: laptop",
        "our settings, not the papers'): 300 steps on toy clips",
        "J is the region similarity",
        "Full size = the published network at 480x864 with one object; measured on a slow CPU.",
        "Latency and MACs of the full-size network, accuracy and FPS of the trained laptop network",
    ):
        assert words in measured
    assert "thop)" not in measured, "a column that nobody measured is left out"
    assert "- The same in every row that has it: Latency full size (ms) 450; Initialisation random." in measured

    rows = [line for line in published.splitlines() if "| 480p |" in line]
    assert any(line.startswith("| stcn |") and "| 85.3 | 82.0 | 88.6 |" in line for line in rows)
    assert any(line.startswith("| mobilevos_r18 |") and "| 90.6 | 89.7 | 91.6 |" in line for line in rows)
    assert any(line.startswith("| mobilevos_r18 |") and "| 80.2 or 83.7 | — | 87.1 |" in line for line in rows)
    assert not any(word in published for word in ("youtube", "xmem", "mobilevos_mnv2"))
    assert "two readings" in published


def test_youtube_vos_shows_seen_and_unseen_classes_and_calls_jf_g(make_cell, tmp_path):
    fields = {"dataset": "ytvos2019", "j_seen": 60.0, "f_seen": 64.0, "j_unseen": 50.0, "f_unseen": 55.0}
    records = [make_cell("plain", seed, 57.0, **(fields | {"j_seen": 60.0 + seed})) for seed in (0, 1)]
    table = summarize(records)
    assert list(table[["J seen", "F seen", "J unseen", "F unseen"]].loc[0]) == [
        "60.5 ± 0.7",
        *("64.0 ± 0.0", "50.0 ± 0.0", "55.0 ± 0.0"),
    ]
    write_tables(records, tmp_path / "alone", "Seen")
    alone = (tmp_path / "alone" / "table.md").read_text()
    assert "On ytvos2019 J&F is G: the mean of J and F over the classes" in alone
    assert "as DAVIS does" not in alone
    assert pd.read_csv(tmp_path / "alone" / "table.csv").loc[0, "f_unseen"] == 55.0

    write_tables([*records, make_cell("plain", 0, 50.0)], tmp_path / "both", "Seen")
    both = (tmp_path / "both" / "table.md").read_text()
    assert "On ytvos2019 J&F is G" in both
    assert "as DAVIS does" in both


def test_memory_and_averaged_weights_are_shown_where_there_are_any(records, tmp_path):
    records[1] = replace(records[1], memory_mb_peak_full=812.5)
    records[3] = replace(records[3], soup="greedy: 3 of 5 networks")
    table = summarize(records)
    assert list(table["Peak memory full size (MB)"]) == ["—", "812", "—", "—"]
    assert list(table["Weights averaged"]) == ["—", "—", "greedy: 3 of 5 networks", "—"]
    write_tables(records, tmp_path, "Losses")
    assert "an MB is 2^20 bytes" in (tmp_path / "table.md").read_text()


def test_latex_is_balanced_and_marks_best_and_second(records, make_failed_cell, tmp_path):
    records.append(make_failed_cell("[bad] 100% $x^2$ {a_b} #1 ~ \\", 0, "failed: no_memory"))
    write_tables(records, tmp_path, "Losses_of 100 %")
    text = (tmp_path / "table.tex").read_text()
    opened, closed = (re.findall(rf"\\{word}{{([a-z*]+)}}", text) for word in ("begin", "end"))
    assert opened == closed[::-1] == ["table*", "tabular"]
    bare = re.sub(r"\\[\\{}]|(?<!\\)%.*", "", text)
    assert bare.count("{") == bare.count("}")
    body = re.sub(r"(?<!\\)%$", "", "\n".join(text.splitlines()[1:]), flags=re.MULTILINE)  # no comments
    assert not re.search(r"(?<!\\)[_%#]", body)
    assert body.count("$") % 2 == body.replace(r"\$", "").count("$") % 2 == 0

    columns = len(re.search(r"\\begin{tabular}{(\w+)}", text).group(1))
    top, middle, bottom = (text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    heading, rows = text[top:middle].splitlines()[1:], text[middle:bottom].splitlines()[1:]
    assert len(rows) == 5
    assert r"$\Delta$ J\&F & 95 \% interval" in heading[0]
    assert text.isascii(), "every character is one that plain LaTeX knows"
    for line in heading + rows:
        assert line.endswith(r" \\")
        assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
    assert rows[0].startswith(r"teacher & \textbf{71.2} &")
    assert rows[2].startswith(r"near\_boundary & \underline{55.0 $\pm$ 1.4} &")
    assert r"omega=1 \& soft & 50.5 $\pm$ 1.4 &" in rows[3]
    assert r"\textbf{8.10} & \textbf{20.0}" in rows[1], "of costs the lowest is best, and ties share it"
    assert not any("450" in row for row in rows), "what is the same in all rows is said below"
    assert rows[4].startswith("{[}bad] 100\\% \\$x"), "[ at the start of a row would be an argument of \\\\"


def test_a_metric_that_the_record_does_not_know_has_its_column_digits_note_and_best_mark(make_cell, tmp_path):
    """Its definition travels with the record, so a new metric needs no change here."""

    def measured(drift: float) -> str:
        about = {
            "title": "Drift",
            "digits": 2,
            "unit": "px",
            "better": "lower",
            "note": "Drift is how far masks move.",
        }
        return json.dumps({"drift": {"value": drift, **about}})

    records = [make_cell("a", seed, 50.0, metrics=measured(1.5 + seed)) for seed in (0, 1)]
    records += [make_cell("b", 0, 50.0, metrics=measured(1.25)), make_cell("c", 0, 50.0)]
    table = summarize(records)
    assert list(table["Drift (px)"]) == ["2.00 ± 0.71", "1.25", "—"]
    write_tables(records, tmp_path, "Losses")
    assert "- Drift is how far masks move." in (tmp_path / "table.md").read_text()
    assert r"\textbf{1.25}" in (tmp_path / "table.tex").read_text()
    assert pd.read_csv(tmp_path / "table.csv").set_index("label").loc["a", "drift"] == 2.0


def test_records_without_metrics_of_others_have_no_column_of_them(make_cell):
    assert "Drift" not in " ".join(summarize([make_cell("a", 0, 50.0)]))


def test_csv_keeps_the_unrounded_numbers(records, tmp_path):
    records[1] = replace(records[1], jf_mean=50.123456789012345)
    write_tables(records, tmp_path, "Losses")
    rows = pd.read_csv(tmp_path / "table.csv", float_precision="round_trip").set_index("label")
    scores = [50.123456789012345, 51.0]
    assert rows.loc["plain", "jf_mean"] == statistics.fmean(scores)
    assert rows.loc["plain", "jf_mean_std"] == statistics.stdev(scores)
    assert rows.loc["plain", "n"] == 2
    assert math.isnan(rows.loc["teacher", "jf_mean_std"])
    assert rows.loc["teacher", "params_m_full"] == 54.4


def test_the_same_records_give_the_same_bytes(records, tmp_path):
    first = [path.read_bytes() for path in write_tables(records, tmp_path / "a", "Losses")]
    assert first == [path.read_bytes() for path in write_tables(records, tmp_path / "b", "Losses")]


def test_the_command_writes_everything_and_says_where(records, tmp_path, capsys):
    (tmp_path / "records.jsonl").write_text(to_jsonl(records))
    (tmp_path / "title.txt").write_text("Losses (ours)\nsecond line\n")
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("\nLosses (ours)\n")
    assert (tmp_path / "table.md").read_text().startswith("# Losses (ours)\n\n| Method |")
    for name in ("table.md", "table.tex", "table.csv", "accuracy.png"):
        assert (tmp_path / name).stat().st_size > 0
    for name in ("table.md", "figures.md"):
        assert str(tmp_path / name) in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no records at"),
        ("\n", "is empty"),
        ("{broken\n", "cannot read"),
        ('{"label": "a"}\n', "cannot read"),
    ],
)
def test_the_command_explains_what_is_wrong_with_the_records(content, message, tmp_path, capsys):
    path = tmp_path / "records.jsonl"
    if content is not None:
        path.write_text(content)
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert str(path) in error


def test_an_error_does_not_wait_for_the_plotting_libraries(tmp_path):
    code = (
        "import sys; from reports.__main__ import main; code = main(sys.argv[1:]);"
        "print(code, sorted({'pandas', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"


def test_a_file_has_every_sequence_averaged_over_the_seeds(records, tmp_path):
    write_tables(records, tmp_path, "Losses")
    rows = pd.read_csv(tmp_path / "sequences.csv", index_col="label")
    assert list(rows) == ["bear", "camel", "dog"]
    assert rows.loc["plain"].tolist() == [51.5, 47.5, 52.5]
    assert rows.loc["near_boundary", "camel"] == 52
