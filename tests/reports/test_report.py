"""The report: what the notebooks show of a store, what they write, and what happens when one of them fails."""

import json
import re
import subprocess
from pathlib import Path

import jupytext
import pandas as pd
import pytest
from PIL import Image

from bench.plan.compose import choices
from bench.record import to_jsonl
from reports.__main__ import main
from reports.execute import NOTEBOOKS, write_report
from reports.html import Shown, from_markdown, html_table, page, show_table
from reports.report import Report, adopt_figures, open_report
from reports.results import Result
from reports.table import Table

PAPERS = sorted(path for path in NOTEBOOKS.glob("*.py"))


def sampling(folder: Path, records, **changed) -> Result:
    given = {"ablation": "sampling", "method": "mobilevos_r18", "dataset": "toy-val", "scale": "laptop"} | changed
    return Result("sampling", title="Which pixels", job="ablate", folder=folder, records=records, **given)


@pytest.fixture
def folder(tmp_path, records) -> Path:
    """The folder of results of an ablation: its records and two pictures."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "records.jsonl").write_text(to_jsonl(records))
    Image.new("RGB", (20, 10), "red").save(folder / "overlays.png")
    Image.effect_noise((2000, 400), 90).save(folder / "accuracy.png")
    return folder


def run_cells(notebook: Path, report: Report) -> list[Shown]:
    """What the notebook shows, run in this process."""
    found, names = [], {}
    for cell in jupytext.read(notebook).cells:
        if cell.cell_type == "code":
            *_, last = cell.source.splitlines()
            if last.startswith("report."):
                found.append(eval(last, {"report": report}))
            else:
                exec(cell.source.replace("open_report()", "None"), names)
    return found


def ablations(notebook: Path) -> list[str]:
    """Those that have a chapter in it."""
    return re.findall(r'report\.ablation\("(\w+)"\)', notebook.read_text())


@pytest.mark.parametrize("notebook", PAPERS, ids=lambda path: path.stem)
def test_a_notebook_holds_prose_and_calls(notebook):
    """One import, one line that opens the report, and one call a cell."""
    cells = jupytext.read(notebook).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert code[0] == "from reports.report import open_report\n\nreport = open_report()"
    assert all(re.fullmatch(r"report\.\w+\([\w\"]*\)", source) for source in code[1:])
    assert cells[0].source.startswith("# ")


@pytest.mark.parametrize("notebook", PAPERS, ids=lambda path: path.stem)
def test_an_empty_store_gives_pages_that_say_what_fills_them(notebook, tmp_path):
    shown = sum(run_cells(notebook, Report([], tmp_path, "none")), Shown())
    assert "class=" in shown.html
    for name in ablations(notebook):
        assert f"`./run_all.sh ablation={name}` fills it" in shown.markdown
    if notebook.stem == "overview":
        assert "`./run_all.sh job=measure` fills it" in shown.markdown
        assert "`./run_all.sh` fills it in minutes" in shown.markdown


def test_every_ablation_has_a_chapter():
    assert sorted(name for notebook in PAPERS for name in ablations(notebook)) == sorted(choices("ablation"))


def test_an_ablation_is_shown_and_written(folder, records, tmp_path):
    report = Report([sampling(folder, records)], tmp_path / "report", "")
    shown = report.ablation("sampling")
    name = "sampling-mobilevos_r18-toy-val-laptop"
    assert "<td" in shown.html and "near_boundary" in shown.html
    assert shown.html.count("<img") == 2
    assert "| near_boundary |" in shown.markdown
    assert f"![Masks over frames of one video](pictures/{name}-overlays.png)" in shown.markdown
    assert pd.read_csv(tmp_path / f"report/tables/{name}.csv").set_index("label").loc["plain", "jf_mean"] == 50.5
    assert r"\toprule" in (tmp_path / f"report/tables/{name}.tex").read_text()
    assert (tmp_path / f"report/pictures/{name}-accuracy.webp").stat().st_size < (
        folder / "accuracy.png"
    ).stat().st_size, "large pictures become smaller"


def test_pictures_of_other_records_are_not_taken(folder, records, tmp_path):
    """A later command may have written into the same folder: then they are drawn from the records."""
    found = adopt_figures(sampling(folder, records[:2]), tmp_path / "pictures")
    first, *_ = found
    assert first.name == "sampling-mobilevos_r18-toy-val-laptop-accuracy.png"
    assert Image.open(first).size != Image.open(folder / "accuracy.png").size


def test_what_has_begun_and_not_ended_is_named(tmp_path):
    report = Report([sampling(tmp_path, [])], tmp_path, "")
    assert "has begun and not ended: give its command again" in report.ablation("sampling").markdown
    assert "| not ended |" in report.contents().markdown


def test_other_results_stand_in_the_overview(folder, records, tmp_path):
    own = sampling(folder, records, ablation="my_own")
    searched = Result("search-x", "search", "", "", "", "", "Search", tmp_path / "search", [])
    searched.folder.mkdir()
    (searched.folder / "table.md").write_text("# Search\n\n| Trial |\n| --- |\n| 7 * |\n")
    report = Report([sampling(folder, records), own, searched], tmp_path / "report", "")
    shown = report.others()
    assert shown.html.count("Which pixels") == 1
    assert "<td>7 *</td>" in shown.html


def test_costs_of_job_measure(make_cell, tmp_path):
    records = [make_cell("stcn", 0, 0.0, params_m=54.4, latency_ms_median=1311.0)]
    measured = Result("measure", "measure", "", "", "", "", "Speed", tmp_path, records)
    shown = Report([measured], tmp_path / "report", "").costs()
    assert "| stcn | 54.4 | 20.0 | — | — | 1311 | — | 40.0 |" in shown.markdown


def test_a_table_marks_the_best_and_greys_what_is_published():
    texts = pd.DataFrame(
        {
            "Method": ["<a>", "b", "c"],
            "J&F": ["50.0 ± 1", "60.0", "40.0"],
            "J&F D17, published": ["70.0", "—", "80.0 (1/2)"],
            "J&F D17, measured": ["not measured"] * 3,
        }
    )
    html = html_table(texts, {})
    assert '<td class="number best">60.0</td>' in html
    assert '<td class="number second">50.0 ± 1</td>' in html
    assert '<td class="number published best">80.0 (1/2)</td>' in html
    assert '<td class="number missing">not measured</td>' in html
    assert "&lt;a&gt;" in html and "<a>" not in html


def test_published_figures_are_grey_in_latex_and_sources_stand_below(tmp_path):
    texts = pd.DataFrame(
        {"Method": ["a", "b"], "J&F, published": ["70.0", "80.0"], "Source": ["Paper [V]; Zoo [V]", "Zoo [V]"]}
    )
    Table("Title", texts, ["A note."], texts).write(tmp_path, "x")
    text = (tmp_path / "x.tex").read_text()
    assert r"\textcolor{gray}{\textbf{80.0}}" in text
    assert r"\textcolor{gray}{70.0} & a, b \\" in text
    assert "A note. Sources: (a) Paper {[}V]; (b) Zoo {[}V]." in text
    assert "| a | 70.0 | Paper [V]; Zoo [V] |" in (tmp_path / "x.md").read_text()


def test_the_page_lists_its_headings_and_needs_nothing_else():
    texts = pd.DataFrame({"Method": ["first"]})
    body = (
        from_markdown("# One\n\n## Twice\n\ntext\n\n## Twice\n")
        + show_table(Table("Title", texts, ["a < b"], texts)).html
    )
    text = page("A & B", body)
    assert '<h2 id="one">One</h2>' in text
    assert '<a href="#twice-2">Twice</a>' in text
    assert "<title>A &amp; B</title>" in text
    assert "a &lt; b" in text
    assert not re.search(r"(src|href)=\"(?!data:|#)", text), "no external resource"
    assert "@" not in re.sub(r"@media", "", text), "every placeholder is filled"


FAILING = '# %% [markdown]\n# # Broken\n\n# %%\nfirst = 1\nraise ValueError("of this sort")\n'
FINE = '# %% [markdown]\n# # Fine\n\n# %%\nprint("computed", 6 * 7)\n'


@pytest.fixture
def two_notebooks(tmp_path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "a_broken.py").write_text(FAILING)
    (folder / "b_fine.py").write_text(FINE)
    return folder


def test_a_failing_notebook_is_told_with_its_cell_and_the_others_run(two_notebooks, tmp_path, capsys):
    assert write_report(tmp_path, two_notebooks) == 1
    said = capsys.readouterr().err
    assert "notebook 1 of 2: a_broken\n" in said and "notebook 2 of 2: b_fine\n" in said
    assert 'with ValueError: of this sort\nin this cell:\n\nfirst = 1\nraise ValueError("of this sort")' in said
    text = (tmp_path / "report.html").read_text()
    assert "This notebook stopped with ValueError" in text
    assert "computed 42" in text and "computed 42" in (tmp_path / "b_fine.md").read_text()
    children = subprocess.run(["pgrep", "-f", "ipykernel_launcher"], capture_output=True, text=True, check=False)
    mine = [
        pid for pid in children.stdout.split() if f"/{tmp_path.name}" in Path(f"/proc/{pid}/environ").read_text()
    ]
    assert not mine, "no kernel is left"


@pytest.mark.slow
def test_the_command_runs_all_notebooks_on_a_store(write_result, records, tmp_path, capsys):
    runs = tmp_path / "runs"
    results = write_result(runs, "sampling", records, title="Which pixels")
    Image.new("RGB", (20, 10), "red").save(results / "overlays.png")
    out = tmp_path / "report"
    out.mkdir()
    (out / "report.json").write_text(json.dumps({"store": f"sqlite:///{runs}/mlflow.db", "shown": "here"}))
    assert main([str(out)]) == 0
    assert capsys.readouterr().out.strip().endswith("report.html")
    text = (out / "report.html").read_text()
    assert "Which pixels" in text and "near_boundary" in text
    assert "data:image/png;base64," in text
    files = sorted(path for path in out.rglob("*") if path.is_file())
    assert {f"{path.stem}.md" for path in PAPERS} <= {path.name for path in files}
    first = {path: path.read_bytes() for path in files}
    main([str(out)])
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == first


def test_a_report_is_opened_by_its_folder(tmp_path, monkeypatch):
    (tmp_path / "report.json").write_text('{"store": null, "shown": "sqlite:///nothing.db"}')
    monkeypatch.setenv("VOS_REPORT", str(tmp_path))
    report = open_report()
    assert (list(report.results), report.out) == ([], tmp_path)
    assert "sqlite:///nothing.db" in report.contents().markdown
