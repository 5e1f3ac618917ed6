"""The papers' tables: published and measured stand apart, and neither ever fills in for the other."""

from pathlib import Path

import pandas as pd
import pytest

from bench.record import Record
from reports import papers
from reports.published import load_published, load_quantities
from reports.published.words import NAMES
from reports.results import Result
from reports.side_by_side import NOT_MEASURED

D17, D17_MEASURED = "J&F (J/F) DAVIS 2017, published", "J&F (J/F) DAVIS 2017, measured"
TABLES = {
    "mobilevos": papers.mobilevos,
    **{f"distilled {n}": lambda results, n=n: papers.deaot_distilled(n, results) for n in (1, 2, 3, 4)},
    "own methods": papers.own_methods,
    **{f"mobile_sam {n}": lambda results, n=n: papers.mobile_sam(n, results) for n in (2, 4, 7)},
}


def result(records: list[Record], job: str = "ablate") -> Result:
    return Result("x", job, "", "", "", "", "x", Path("nowhere"), records)


def on_davis(make_cell, label: str, score: float, method: str = "deaot_t", seed: int = 0, **fields) -> Record:
    davis = {"dataset": "davis2017", "sequences": 30, "objects": 61, "scale": "gpu"}
    return make_cell(label, seed, score, method=method, **(davis | fields))


def columns(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    return table[[name for name in table if name.endswith(kind)]]


@pytest.mark.parametrize("name", TABLES)
def test_what_was_not_measured_says_so(name):
    measured = columns(TABLES[name]([]).texts, "measured")
    assert len(measured.columns) >= 1
    assert (measured == NOT_MEASURED).all(axis=None)


@pytest.mark.parametrize("name", TABLES)
def test_measurements_change_no_published_figure(name, make_cell):
    cells = [on_davis(make_cell, label, 12.3) for label in ("map 1", "DIST", "deformable attention", "deaot_t")]
    cells += [on_davis(make_cell, "mobilevos_r18", 12.3, "mobilevos_r18")]
    before, after = TABLES[name]([]).texts, TABLES[name]([result(cells)]).texts
    assert columns(before, "published").equals(columns(after, "published"))
    assert "12.3" not in columns(after, "published").to_string()


def test_rows_of_an_ablation_meet_their_published_rows(make_cell):
    cells = [on_davis(make_cell, "DIST", 40.0), on_davis(make_cell, "DIST", 42.0, seed=1)]
    cells += [on_davis(make_cell, "DIST + KL", 99.0)]  # which the paper has no figures of
    table = papers.deaot_distilled(2, [result(cells)]).texts
    assert list(table[D17]) == ["71.05 (68.50/73.60)", "57.20 (54.80/59.60)", "72.75 (69.90/75.60)"]
    assert list(table[D17_MEASURED]) == ["41.0 ± 1.4 (39.0/43.0), gpu", NOT_MEASURED, NOT_MEASURED]
    assert "99.0" not in table.to_string()


def test_part_of_a_set_is_not_that_set(make_cell):
    cells = [on_davis(make_cell, "map 1", 40.0, sequences=2), on_davis(make_cell, "map 2", 41.0, dataset="toy")]
    table = papers.deaot_distilled(4, [result(cells)]).texts
    assert set(table[D17_MEASURED]) == {NOT_MEASURED}
    assert table["J&F (J/F) davis2017 (2 sequences), measured"][0] == "40.0 (38.0/42.0), gpu"
    assert table["J&F (J/F) toy (30 sequences), measured"][1] == "41.0 (39.0/43.0), gpu"


def test_a_checkpoint_of_the_authors_stands_beside_their_main_row_alone(make_cell):
    cell = on_davis(make_cell, "stcn", 85.0, "stcn", scale="")
    table = papers.own_methods([result([cell], "evaluate")]).texts.set_index("Method")
    assert table.loc["STCN", D17_MEASURED] == "85.0 (83.0/87.0), given weights"
    assert (table[D17_MEASURED].drop("STCN") == NOT_MEASURED).all()

    cell = on_davis(make_cell, "mobilevos_r18", 70.0, "mobilevos_r18")
    table = papers.mobilevos([result([cell])]).texts
    assert dict(zip(table["Variant"], table[D17_MEASURED] != NOT_MEASURED, strict=True)) == {
        **dict.fromkeys(table["Variant"], False),
        "ResNet18": True,
    }
    assert table[D17][0] == "80.2 or 83.7 (—/87.1)", "both readings"


def test_networks_whose_own_training_nobody_published_have_a_row(make_cell):
    cell = on_davis(make_cell, "mobilevos_mnv2", 60.0, "mobilevos_mnv2")
    row = (
        papers.mobilevos([result([cell])]).texts.set_index(["Method", "Variant"]).loc["MobileVOS, MobileNetV2", "—"]
    )
    assert (row[D17], row[D17_MEASURED]) == ("—", "60.0 (58.0/62.0), gpu")


def test_measured_costs_are_those_of_the_plain_full_size_network(make_cell):
    costs = [make_cell("deaot_t", 0, 0.0, method="deaot_t", params_m_full=7.24, fps=2.09, dataset="none")]
    table = papers.own_methods([result(costs, "measure")]).texts.set_index("Method")
    assert list(table.loc["DeAOT-T", ["Params (M), published", "Params (M), measured"]]) == ["7.2", "7.24"]
    assert list(table.loc["DeAOT-T", ["Speed (FPS), measured", "Device"]]) == ["2.09", "V100"]
    own = papers.deaot_distilled(3, [result(costs, "measure")]).texts.iloc[-1]
    assert own["Speed (FPS), published"] == "52.36 (D17)"
    assert own["Speed (FPS), measured"] == NOT_MEASURED, "job=measure timed vanilla attention"


def test_every_published_speed_has_a_device_beside_it():
    table = papers.baselines().texts
    assert ((table["Speed (FPS), published"] != "—") == (table["Device"] != "—")).all()
    stcn = table[table["Method"] == "STCN"].iloc[0]
    assert (stcn["Speed (FPS), published"], stcn["Device"]) == (
        "26.9 (D16), 20.2 (D17), 14.6 (D17 test-dev)",
        "RTX 2080 Ti",
    )


def test_baselines_are_all_there_and_no_student_of_a_paper_is():
    methods = set(papers.baselines().texts["Method"])
    families = (
        "STCN",
        "RDE-VOS",
        "XMem",
        "AOT-T",
        "DeAOT-L",
        "Cutie-base",
        "EdgeTAM",
        "EfficientTAM-S",
        "SAM 2 B+",
    )
    assert set(families) <= methods
    assert not any("MobileVOS" in method for method in methods)
    assert all("_" not in method for method in methods), "called as in print"


def test_every_published_method_has_a_name_for_print():
    assert set(load_published()["method"]) | set(load_quantities()["method"]) <= set(NAMES)


def test_notes_are_numbered_below_the_table():
    table = papers.deaot_distilled(1, [])
    numbers = {number for text in table.texts["Notes"] for number in text.split(", ")}
    assert {f"({number})" for number in numbers} == {s.split()[0] for s in table.sentences if s.startswith("(")}
    assert any("Table 2 prints 73.20" in sentence for sentence in table.sentences)


def test_the_csv_has_a_line_per_figure(make_cell):
    numbers = papers.deaot_distilled(4, [result([on_davis(make_cell, "map 1", 40.0)])]).numbers
    assert list(numbers["kind"]) == ["published"] * 4 + ["measured"]
    assert numbers["jf_mean"].tolist() == [70.75, 70.8, 70.95, 72.75, 40.0]


def test_mobile_sams_tables_are_those_of_the_paper():
    two, four, seven = (papers.mobile_sam(number, []).texts for number in (2, 4, 7))
    assert list(two["mIoU, published"]) == ["0.72", "0.75"]
    assert list(four["mIoU, published"]) == ["0.7057", "0.7286", "0.7447"]
    assert [float(seven[f"mIoU at {d} px, published"][0]) for d in range(100, 600, 100)] == [
        *(0.27, 0.33, 0.37, 0.41, 0.41)
    ]
    assert all(f"{column[:-9]}measured" in seven for column in columns(seven, "published"))


def test_a_quantity_is_measured_by_the_field_that_it_names(make_cell, monkeypatch):
    cells = load_quantities()
    cells.loc[cells["quantity"] == "mIoU at 100 px", "field"] = "per_sequence.bear"  # a field with JSON
    cells.loc[cells["quantity"] == "mIoU at 200 px", "field"] = "jf_mean"
    monkeypatch.setattr(papers, "load_quantities", lambda: cells)
    records = [make_cell("decoupled", seed, 70.0 + seed, method="mobile_sam") for seed in (0, 1)]
    row = papers.mobile_sam(7, [result(records)]).texts.set_index("Method").loc["MobileSAM"]
    assert row["mIoU at 100 px, measured"] == "0.7150, laptop"  # 71 and 72: "bear" is easier by 1
    assert row["mIoU at 200 px, measured"] == "0.7050, laptop"
    assert row["mIoU at 300 px, measured"] == NOT_MEASURED


def test_every_number_is_in_the_notes_on_the_papers(shared):
    text = (shared / "papers.md").read_text(encoding="utf-8")
    assert all(value in text for value in load_quantities()["value"])
