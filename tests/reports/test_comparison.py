"""What stands beside a row's own scores: its reference, and what is published about its method."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from reports.tables import summarize, write_tables

DAVIS16, DAVIS17 = (f"Published J&F DAVIS{year} (full-size network, 480p, not measured)" for year in (16, 17))


def test_what_is_published_about_its_method_stands_in_every_row(make_cell, tmp_path):
    methods = ("mobilevos_r18", "stcn", "deaot_t", "mobilevos_mnv2", "copy_first_mask")
    records = [make_cell(f"row {method}", 0, 50.0, method=method) for method in methods]
    table = summarize(records)
    # The students' own rows, without BL30K; what others trained is not the method's figure.
    assert list(table[DAVIS16]) == ["90.6 [V2]", "91.6 [V2]", "88.9 [V2]", "—", "—"]
    assert list(table[DAVIS17]) == ["80.2 [V2] or 83.7 [I]", "85.4 [V]", "80.5 [V2]", "—", "—"]

    write_tables(records, tmp_path, "Methods")
    text = (tmp_path / "table.md").read_text()
    assert DAVIS16 in text.splitlines()[2]
    note = next(line for line in text.splitlines() if line.startswith("- Published figures"))
    assert "not measured here" in note
    assert "[V] = read in the paper" in note
    assert "[I] = inferred" in note
    assert "80.2 {[}V2] or 83.7 {[}I]" in (tmp_path / "table.tex").read_text()
    rows = pd.read_csv(tmp_path / "table.csv").set_index("method")
    assert list(rows.loc["mobilevos_r18", ["published_jf_davis17", "published_jf_other_davis17"]]) == [80.2, 83.7]
    assert rows.loc["stcn", "published_certainty_davis17"] == "V"
    assert rows.loc["stcn", "published_source_davis17"] == "EdgeTAM repository, README"
    assert math.isnan(rows.loc["mobilevos_mnv2", "published_jf_davis17"])


def test_rows_of_a_published_ablation_show_its_figures_and_what_to_beware_of(make_cell, tmp_path):
    labels = ("map 3", "map 3 + intra", "no map")
    records = [make_cell(label, 0, 50.0, method="deaot_t") for label in labels]
    table = summarize(records)
    assert list(table[DAVIS16]) == ["—", "—", "88.9 [V2]"]
    assert list(table[DAVIS17]) == ["70.95 [V]", "72.75 [V]", "80.5 [V2]"]

    write_tables(records, tmp_path, "Attention maps")
    measured, published = (tmp_path / "table.md").read_text().split("## Published")
    notes = [line for line in measured.splitlines() if "2401.13937" in line]
    assert notes[0].endswith("and none where it gives none: map 3, map 3 + intra (arXiv 2401.13937, Table 4).")
    assert "leave L_intra out" in notes[1]
    assert "80.5 on DAVIS 2017, 7.75 above the full student" in notes[2]
    assert "leave L\\_intra out" in (tmp_path / "table.tex").read_text()
    assert "full student | davis2017-val | 480p | 72.75 | 69.9 | 75.6 |" in published
    assert "map 1" not in published, "a row that was not measured here"


def test_rows_keep_their_published_figures_when_there_are_several_datasets(make_cell, tmp_path):
    records = [make_cell("DIST + CKA", 0, 50.0, method="deaot_t", dataset=name) for name in ("a", "b")]
    assert list(summarize(records)[DAVIS17]) == ["72.75 [V]"] * 2
    write_tables(records, tmp_path, "Both")
    published = (tmp_path / "table.md").read_text().split("## Published")[1]
    # YouTube-VOS too, where the paper's tables disagree.
    assert "youtube-vos-2018-val | — | 73.2 |" in published
    assert "Table 1 prints 73.18 for the same network" in published


def test_methods_without_published_figures_get_no_published_columns(make_cell, tmp_path):
    write_tables([make_cell("plain", 0, 50.0, method="copy_first_mask")], tmp_path, "Copy")
    assert "Published" not in (tmp_path / "table.md").read_text()


def test_trained_rows_are_compared_with_the_first_of_their_dataset(records, make_cell, tmp_path):
    records += [
        make_cell("plain", 2, 52.0),
        make_cell("near_boundary", 2, 58.0),
        make_cell("omega=1 & soft", 2, 52.0),
    ]
    records += [make_cell("two seeds", 0, 70.0), make_cell("two seeds", 1, 71.0), make_cell("one seed", 0, 70.0)]
    records += [make_cell("other sequences", 0, 70.0, per_sequence='{"cat": 70.0}')]
    records[0] = replace(records[0], label="stcn (teacher)", train_steps=300)
    table = summarize(records).set_index("Method")[["Δ J&F", "95 % interval"]]
    # near_boundary: +4, +5 and +6; omega: -0.5, +0.5 and 0; the 97.5 % quantile of Student's t with 2 degrees of
    # freedom is 4.303, sqrt(3) makes it 2.484 deviations; a teacher is trained on terms of its own.
    assert table.T.to_dict("list") == {
        "stcn (teacher)": ["—", "—"],
        "plain": ["reference", "—"],
        "near_boundary": ["+5.0", "[+2.5, +7.5]"],
        "omega=1 & soft": ["+0.0 (n.s.)", "[-1.2, +1.2]"],
        "two seeds": ["+20.0 (no verdict)", "[+20.0, +20.0]"],
        "one seed": ["+20.0 (no verdict)", "—"],
        "other sequences": ["—", "—"],
    }

    write_tables(records, tmp_path, "Losses")
    rows = pd.read_csv(tmp_path / "table.csv").set_index("label")
    ends = ["low", "high", "two_way_low", "two_way_high"]
    numbers = ["jf_difference", *(f"jf_difference_{end}" for end in ends), "p", "p_holm"]
    # t = 5 / (1 / sqrt(3)) with 2 degrees of freedom; Holm doubles the smaller of two p values.
    assert list(rows.loc["near_boundary", numbers]) == pytest.approx(
        [5, 4, 6, 2.516, 7.484, 0.01307, 0.02614], 1e-3
    )
    assert list(rows.loc["omega=1 & soft", numbers]) == pytest.approx([0, -0.5, 0.5, -1.242, 1.242, 1, 1], 1e-3)
    assert list(rows["verdict"].dropna()) == [
        *("significant", "not significant", "two seeds: no verdict", "one seed: no verdict")
    ]
    # Deviations 1 and 0.5 times 2.117, the bound: (1.96 + 0.84)^2 * 1.0587^2 / 0.5^2 + 1.96^2 / 2 = 37.1 (Guenther)
    assert list(rows["seeds_needed"].dropna()) == ["more than 50", "38", "2"]
    assert rows.loc["plain", numbers].isna().all()
    assert list(rows["reference"].dropna()) == ["plain"] * 5


def test_every_dataset_has_a_reference_of_its_own(make_cell):
    records = [
        make_cell(label, 0, score, dataset=dataset)
        for dataset, base in (("a", 50), ("b", 60))
        for label, score in (("plain", base), ("other", base + 2))
    ]
    table = summarize(records).set_index("Method")
    assert list(table["Δ J&F"]) == ["reference", "+2.0 (no verdict)"] * 2


def test_the_notes_say_how_rows_are_compared_and_what_would_show_more(records, make_cell, tmp_path):
    records[5:] = [make_cell("apart", 0, 50.0), make_cell("apart", 1, 51 + math.sqrt(2))]
    records.append(make_cell("single", 0, 52.0))
    write_tables(records, tmp_path, "Losses")
    notes = (tmp_path / "table.md").read_text()
    assert "n.s. = not significant at 5 % after Holm's correction over all rows" in notes
    assert "Two seeds: no verdict (near_boundary, apart). It takes three: seeds=3." in notes
    assert "One seed: no verdict (single). It takes three: seeds=3." in notes
    words = "more than 50 seeds to show a difference of 0.5 J&F between plain and near_boundary, apart (power 0.8,"
    assert f"It might take {words}" in notes


def test_holms_correction_is_over_the_rows_of_one_reference(make_cell, tmp_path):
    """Each row alone has p = 0.0131, which twice is below 5 % and five times is not."""

    def rows(dataset: str, count: int):
        for seed in range(3):
            yield make_cell("plain", seed, 50.0, dataset=dataset)
            yield from (make_cell(f"row {n}", seed, 54.0 + seed, dataset=dataset) for n in range(count))

    write_tables([*rows("few", 2), *rows("many", 5)], tmp_path, "T")
    table = pd.read_csv(tmp_path / "table.csv").set_index("label")
    assert table["p"].dropna().tolist() == pytest.approx([0.01307] * 7, 1e-3)
    verdicts = {name: set(table.loc[table["dataset"] == name, "verdict"].dropna()) for name in ("few", "many")}
    assert verdicts == {"few": {"significant"}, "many": {"not significant"}}


def test_a_soup_is_compared_with_the_best_row_that_it_is_made_of(make_cell, tmp_path):
    records = []
    for seed in range(3):
        records += [make_cell("plain", seed, 50.0), make_cell("better", seed, 53.0), make_cell("best", seed, 60.0)]
        made = {"soup": f"greedy: {1 + seed // 2} of 2 networks", "ingredients": '["plain", "better"]'}
        records.append(make_cell("greedy soup", seed, 54.0 + seed, **made))
    write_tables(records, tmp_path, "Soups")
    notes = (tmp_path / "table.md").read_text()
    assert (
        "greedy soup (greedy: 1 of 2 networks with seed 0, 1; greedy: 2 of 2 networks with seed 2) minus better"
        in notes
    )
    assert "made of: +2.0 (n.s.), two-way interval [-0.5, +4.5]" in notes


def test_a_lone_trained_row_is_compared_with_nothing(make_cell, tmp_path):
    write_tables([make_cell("plain", 0, 50.0)], tmp_path, "Losses")
    text = (tmp_path / "table.md").read_text()
    assert "Δ" not in text
    assert "reference" not in text


def test_rows_that_name_their_reference_are_compared_with_it_trained_or_not(make_cell, tmp_path):
    chosen = {"reference": "baseline"}
    records = [make_cell("mine", 7, 40.0, train_steps=0, method="mine.py:Mine", **chosen)]
    records += [make_cell("baseline", seed, 50.0 + 2 * seed, **chosen) for seed in (0, 1)]
    records += [make_cell("student", seed, 53.0 + seed, **chosen) for seed in (0, 1)]
    records += [make_cell("ours (teacher)", 0, 60.0, **chosen)]
    write_tables(records, tmp_path, "Methods")
    rows = pd.read_csv(tmp_path / "table.csv").set_index("label")
    # What nothing was trained for has one cell, which meets both seeds of the baseline: 40 - 50 and 40 - 52.
    assert list(rows["jf_difference"].dropna()) == pytest.approx([-11.0, 2.5, 10.0])
    assert rows.loc["mine", ["jf_difference_low", "jf_difference_high"]].tolist() == pytest.approx([-12, -10])
    assert rows["verdict"].dropna().tolist() == ["two seeds: no verdict"] * 2 + ["one seed: no verdict"]
    assert set(rows["reference"]) == {"baseline"}
    text = (tmp_path / "table.md").read_text()
    assert "One seed: no verdict (ours (teacher))." in text
    assert "mine: full size is the method as it was built" in text


def test_rows_may_have_references_of_their_own(make_cell, tmp_path):
    """The rows that are named are compared with nothing; Holm's correction is over all others."""

    def rows(student: str, score: float, gains: dict[str, float]):
        for seed in range(3):
            yield make_cell(f"{student} alone", seed, score)
            for name, gain in gains.items():
                cell = make_cell(f"{student} by {name}", seed, score + gain + seed)
                yield replace(cell, reference=f"{student} alone")

    records = [*rows("small", 50, {"a": 4, "b": 2}), *rows("large", 60, {"a": 1})]
    records.append(make_cell("a (teacher)", 0, 70.0))
    write_tables(records, tmp_path, "Capacity")
    table = pd.read_csv(tmp_path / "table.csv").set_index("label")
    assert table["jf_difference"].dropna().to_dict() == {"small by a": 5, "small by b": 3, "large by a": 2}
    assert table["reference"].dropna().to_dict() == {
        **dict.fromkeys(("small alone", "small by a", "small by b"), "small alone"),
        **dict.fromkeys(("large alone", "large by a"), "large alone"),
    }
    # t = 5 / (1 / sqrt(3)), the smallest of three p values, counts three times.
    assert table.loc["small by a", "p_holm"] == pytest.approx(3 * 0.01307, 1e-3)
    text = (tmp_path / "table.md").read_text()
    assert text.count("| reference |") == 2
    assert "References: small alone of small by a, small by b; large alone of large by a." in text


def test_a_row_that_names_none_is_compared_with_the_first_such_row(make_cell):
    records = [replace(make_cell("by a", 0, 52.0), reference="alone"), make_cell("alone", 0, 50.0)]
    records += [make_cell("plain", 0, 40.0), make_cell("other", 0, 41.0)]
    table = summarize(records).set_index("Method")["Δ J&F"]
    assert table.to_dict() == {
        "by a": "+2.0 (no verdict)", "alone": "reference", "plain": "reference", "other": "+1.0 (no verdict)",
    }  # fmt: skip


def test_a_reference_that_is_no_row_leaves_a_row_without_a_difference(make_cell):
    records = [replace(make_cell("by a", 0, 52.0), reference="gone"), make_cell("alone", 0, 50.0)]
    assert set(summarize(records)["Δ J&F"]) == {"—"}


def test_a_comparison_without_training_is_over_sequences_alone_and_has_a_verdict(make_cell, tmp_path):
    fixed = {"train_steps": 0, "reference": "a", "scale": ""}
    write_tables([make_cell("a", 0, 50.0, **fixed), make_cell("b", 0, 52.0, **fixed)], tmp_path, "Methods")
    text = (tmp_path / "table.md").read_text()
    assert "| +2.0 |" in text and "no verdict" not in text
    assert "Nothing was trained on either side: the interval is over sequences alone (b)." in text


def test_a_reference_that_failed_leaves_the_others_without_a_difference(make_cell, make_failed_cell):
    failed = replace(make_failed_cell("a", 0, "failed: a.py:1: ValueError"), reference="a")
    table = summarize([failed, make_cell("b", 0, 52.0, reference="a")]).set_index("Method")
    assert table.loc["b", "Δ J&F"] == "—"
