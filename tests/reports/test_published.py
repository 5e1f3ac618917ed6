"""The published figures: complete rows, and no number that is not in our notes on the papers."""

import re

import pandas as pd
import pytest

from reports.published import CERTAINTY, load_published, published_about, published_columns

# J&F, J, F as transcribed from the papers, their repositories and the leaderboards.
SCORES = {
    "mobilevos_r18 davis2016-val": {(90.6, 89.7, 91.6), (91.4, 90.3, 92.6)},
    "mobilevos_r18 davis2017-val": {(80.2, None, 87.1), (82.3, None, 88.9), (42.5, None, None)},
    "mobilevos_mnv2 davis2017-val": {(41.3, None, None)},
    "mobilevos_mnv2_no_aspp davis2017-val": {(40.7, None, None)},
    "stcn davis2016-val": {(91.7, 90.4, 93.0), (91.6, None, None)},
    "stcn davis2017-val": {(85.3, 82.0, 88.6), (85.4, None, None)},
    "stcn davis2017-test-dev": {(79.9, 76.3, 83.5)},
    "stcn youtube-vos-2018-val": {(84.3, None, None)},
    "stcn youtube-vos-2019-val": {(84.2, None, None), (82.7, None, None)},
    "deaot_t davis2017-val": {
        (80.5, 77.7, 83.3),
        *((69.1, 66.6, 71.6), (72.75, 69.9, 75.6)),
        *((71.05, 68.5, 73.6), (57.2, 54.8, 59.6)),
        *((70.75, 68.3, 73.2), (70.8, 68.45, 73.15), (70.95, 67.5, 74.4)),
    },
    "deaot_t davis2016-val": {(88.9, 87.8, 89.9), (83.35, 83.3, 83.4), (85.75, 84.9, 86.6), (84.5, 84, 85)},
    "deaot_t youtube-vos-2018-val": {(score, None, None) for score in (82, 68.61, 73.18, 71.4, 73.2)},
    "deaot_t youtube-vos-2019-val": {(score, None, None) for score in (82, 69.26, 73.95, 72.9, 74)},
    "deaot_s davis2017-val": {(80.8, 77.8, 83.8)},
    "deaot_b davis2017-val": {(82.2, 79.2, 85.1)},
    "deaot_l davis2017-val": {(84.1, 81.0, 87.1)},
    "r50_deaot_l davis2017-val": {(85.2, 82.2, 88.2)},
    "rde_vos davis2017-val": {(84.2, 80.8, 87.5), (86.1, 82.1, 90.0)},
    "xmem davis2017-val": {(86.2, 82.9, 89.5), (87.7, 84.0, 91.4), (84.5, 81.4, 87.6)},
    "cutie_base davis2017-val": {(88.8, None, None), (87.9, 84.6, 91.1)},
}
PARAMS = {
    "mobilevos_r18": 8.1,
    "mobilevos_mnv2": 2.5,
    "mobilevos_mnv2_no_aspp": 1.9,
    "stcn": 54.43,
    "deaot_t": 7.2,
    "r50_deaot_l": 19.8,
    "xmem": 62.2,
    "rde_vos": 64.0,
}


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return load_published()


def test_every_row_has_a_source_and_an_allowed_certainty(published):
    assert (published["source"] != "").all()
    assert set(published["certainty"]) <= set(CERTAINTY)
    assert "M" not in CERTAINTY, "what is only recalled is never printed"


def test_every_speed_names_its_device(published):
    assert ((published["fps_device"] != "") == published["fps"].notna()).all()


@pytest.mark.parametrize("key", SCORES)
def test_scores_are_those_of_the_papers(key, published):
    method, dataset = key.split()
    rows = published[(published["method"] == method) & (published["dataset"] == dataset)]
    scores = (
        rows[["jf_mean", "j_mean", "f_mean"]]
        .astype(object)
        .where(rows[["jf_mean", "j_mean", "f_mean"]].notna(), None)
    )
    assert set(scores.itertuples(index=False, name=None)) == SCORES[key]


@pytest.mark.parametrize("method", PARAMS)
def test_parameters_are_those_of_the_papers(method, published):
    assert set(published[published["method"] == method]["params_m"].dropna()) == {PARAMS[method]}


def test_jf_is_the_mean_of_j_and_f(published):
    rows = published.dropna(subset=["jf_mean", "j_mean", "f_mean"])
    assert len(rows) > 30
    assert ((rows["jf_mean"] - (rows["j_mean"] + rows["f_mean"]) / 2).abs() < 0.11).all()


def test_both_readings_of_mobilevos_on_davis_2017_are_given(published):
    two = published[published["jf_mean_other"].notna()]
    assert set(two["method"] + " " + two["dataset"]) == {"mobilevos_r18 davis2017-val"}
    assert list(two["jf_mean_other"]) == [83.7, 85.6]
    # As the note says: with the listed figure read as J, J&F is the mean of it and F.
    assert ((two["jf_mean"] + two["f_mean"]) / 2 - two["jf_mean_other"]).abs().max() < 0.06
    for note, other in zip(two["note"], two["jf_mean_other"], strict=True):
        assert "two readings" in note
        assert f"about {other} (inferred)" in note


def test_one_row_stands_for_a_method_on_a_dataset(published):
    main = published[published["main"] == "yes"]
    assert set(published["main"]) == {"yes", ""}
    assert not main.duplicated(["method", "dataset"]).any()
    assert not main["variant"].str.contains(r"\+ BL30K|trained by|self-supervised").any()


def test_one_row_stands_for_a_row_of_an_ablation_on_a_dataset(published):
    labelled = published[published["label"] != ""]
    assert not labelled.duplicated(["method", "label", "dataset"]).any()
    assert set(labelled["main"]) == {""}
    assert set(labelled["label"]) == {
        *("vanilla attention", "deformable attention"),
        *("DIST", "PEFD", "DIST + CKA"),
        *("map 1", "map 2", "map 3", "map 3 + intra"),
    }


def test_a_row_of_an_ablation_has_its_own_figures_and_no_others():
    labels = ["plain", "map 2", "deformable attention", "DIST + KL"]
    columns = published_columns([("deaot_t", label) for label in labels] + [("stcn", "map 2")])
    # Table 4 has no DAVIS 2016: what the method reaches with labels is not for that row.
    assert list(columns["published_jf_davis16"].fillna(0)) == [88.9, 0, 85.75, 88.9, 91.6]
    assert list(columns["published_jf_davis17"]) == [80.5, 70.8, 72.75, 80.5, 85.4]
    assert list(columns["published_source_davis17"])[1:3] == [
        f"arXiv 2401.13937, Table {table}" for table in (4, 1)
    ]


def test_what_is_published_about_rows_leaves_other_rows_out():
    found = published_about([("deaot_t", "PEFD"), ("stcn", "plain"), ("deaot_t", "DIST")])
    assert list(dict.fromkeys(found["method"])) == ["deaot_t", "stcn"], "in the order given"
    assert set(found["label"]) == {"", "PEFD", "DIST"}
    general = found[found["label"] == ""]
    assert set(general["dataset"].str.partition("-")[0]) == {"davis2016", "davis2017"}
    assert "youtube-vos-2018-val" in set(found[found["label"] == "DIST"]["dataset"])


def test_columns_for_a_table_follow_the_methods_as_given():
    methods = ("deaot_t", "no such method", "mobilevos_r18", "deaot_t")
    columns = published_columns([(method, "plain") for method in methods])
    assert list(columns["published_jf_davis16"].fillna(0)) == [88.9, 0, 90.6, 88.9]
    assert list(columns["published_jf_other_davis17"].fillna(0)) == [0, 0, 83.7, 0]
    assert list(columns["published_certainty_davis17"]) == ["V2", "", "V2", "V2"]


def test_every_number_is_in_the_notes_on_the_papers(shared, published):
    known = set(re.findall(r"\d+(?:\.\d+)?", (shared / "papers.md").read_text(encoding="utf-8")))
    known = {float(number) for number in known}
    for column in ("jf_mean", "jf_mean_other", "j_mean", "f_mean", "fps", "params_m"):
        assert set(published[column].dropna()) <= known
    for note in [*published["note"], *published["caveat"]]:
        assert {float(number) for number in re.findall(r"\d+(?:\.\d+)?", note)} <= known
