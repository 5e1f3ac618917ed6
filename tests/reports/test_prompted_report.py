"""Tables and figures of networks that answer prompts: mIoU with the teacher's masks."""

import json

import pandas as pd
import pytest

from bench.record import Record
from reports.figures.prompted import distance_chart, learning_chart
from reports.prompted import distance_table, published_distances
from reports.rows import main_score
from reports.tables import summarize, tabulate, write_tables

IMAGES = {"a": 2.0, "b": -2.0, "c": 0.0}


def cell(label: str, miou: float | None, seed: int = 0, **fields) -> Record:
    made_up = {
        "miou": miou,
        "miou_boxes": None if miou is None else miou + 5,
        "miou_truth": 40.0,
        "miou_distances": "" if miou is None else json.dumps({"100": miou - 10, "500": miou}),
        "embedding_mse": 0.25,
        "train_batch": 8,
        "train_steps": 1500,
        "train_seconds": 90.0,
        "train_clips": "toys",
        "frames": 3,
        "objects": 12,
        "per_sequence": json.dumps({name: (miou or 40.0) + ease for name, ease in IMAGES.items()}),
        "objects_per_sequence": json.dumps(dict.fromkeys(IMAGES, 4)),
        "stage_ms_full": json.dumps({"query_encode": 8.0, "decode": 4.0}),
        "params_m_full": 10.1,
    }
    return Record(label, "mobile_sam", label, "toys", seed, **(made_up | fields))


@pytest.fixture
def records() -> list[Record]:
    teacher = cell("sam_vit_b (teacher)", None, embedding_mse=None)
    return [
        teacher,
        *(cell("coupled", 30.0 + seed, seed) for seed in (0, 1)),
        *(cell("decoupled", 60.0 + 3 * seed, seed) for seed in (0, 1)),
    ]


def test_a_row_holds_what_was_measured_and_what_is_published(records):
    rows = summarize(records).set_index("Method")
    assert rows.loc["decoupled", "mIoU"] == "61.5 ± 2.1"
    assert rows.loc["decoupled", "mIoU, boxes"] == "66.5 ± 2.1"
    assert rows.loc["decoupled", "Δ mIoU"] == "+31.0 (no verdict)"
    assert rows.loc["decoupled", "95 % interval"] == "[+18.3, +43.7]"  # Student's with one degree of freedom: 12.7
    assert rows.loc["coupled", "Δ mIoU"] == "reference"
    assert rows.loc["decoupled", ["Batch", "Steps", "Training (min)"]].tolist() == ["8", "1500", "1.5"]
    assert rows.loc["decoupled", "Encoder, decoder full size (ms)"] == "8.00 + 4.00"
    assert rows.loc["decoupled", "Published mIoU (full size)"] == "75 / 74.47"
    assert rows.loc["sam_vit_b (teacher)", "mIoU"] == "—"


def test_a_row_that_failed_says_why(records, tmp_path):
    failed = Record("semi-coupled", "mobile_sam", "r", "toys", 0, status="failed: loss nan at step 3")
    rows = summarize([*records, failed]).set_index("Method")
    assert "failed: loss nan" in rows.loc["semi-coupled", "mIoU"]
    write_tables([*records, failed], tmp_path, "T")
    assert "semi-coupled, seed 0: failed: loss nan at step 3." in (tmp_path / "table.md").read_text()


def test_distances_stand_beside_the_published_ones(records):
    table = distance_table(records).set_index("Method")
    assert list(table.columns) == ["100", "200", "300", "400", "500"]
    assert table.loc["decoupled", ["100", "500", "300"]].tolist() == ["51.5", "61.5", "—"]
    assert table.loc["FastSAM (published)", "100"] == "27"


def test_three_files_are_written(records, tmp_path):
    written = write_tables(records, tmp_path, "Title")
    assert [path.name for path in written] == ["table.md", "table.tex", "table.csv", "sequences.csv"]
    page = (tmp_path / "table.md").read_text()
    assert page.startswith("# Title\n")
    assert "(arXiv 2306.14289), Table 4" in page and "| encoder (ms) | 452 |" in page
    numbers = pd.read_csv(tmp_path / "table.csv").set_index("label")
    assert list(numbers.loc["decoupled", ["miou", "miou_difference"]]) == [61.5, 31.0]
    assert "paired by image and seed" in page and "J&F" not in page
    assert r"\textbf" not in page


def test_published_distances_are_the_paper_s():
    """Table 7 of MobileSAM, in percent."""
    shown = {name: [round(x) for x in by_distance] for name, by_distance in published_distances().items()}
    assert shown == {"FastSAM": [27, 33, 37, 41, 41], "MobileSAM": [73, 71, 74, 73, 73]}


def test_columns_that_hold_nothing_are_left_out(records):
    table = tabulate(records, "T")
    assert not {"GMACs full size (torch)", "J&F"} & set(table.texts)
    assert "Params full size (M) 10.1" in table.sentences[1], "the same in every row"


def test_records_of_other_ablations_are_no_prompted_ones(records, make_cell):
    assert main_score(records).title == "mIoU"
    assert main_score([make_cell("plain", 0, 50.0)]).title == "J&F"


def test_the_learning_curve_shows_miou_and_mse_of_students(records, tmp_path, saved):
    curve = [
        {"step": 0, "held_out_miou": 0.1, "held_out_mse": 2.0},
        {"step": 0, "lr": 0.1, "decoupled": 2.0, "total": 2.0},
        {"step": 8, "held_out_miou": 0.5, "held_out_mse": 0.2},
    ]
    (tmp_path / "curve.json").write_text(json.dumps(curve))
    with_curves = [
        record if record.miou is None else Record(**{**vars(record), "curve": "curve.json"}) for record in records
    ]
    assert [path.name for path in learning_chart(with_curves, tmp_path)] == ["learning.png", "learning.pdf"]
    miou, mse = saved[0].axes
    assert [line.get_ydata().tolist() for line in miou.lines] == [[10, 50], [10, 50]]
    assert mse.lines[0].get_xdata().tolist() == [0, 8]
    assert learning_chart(records, tmp_path) == []


def test_the_distance_chart_has_measured_and_published_lines(records, tmp_path, saved):
    assert [path.name for path in distance_chart(records, tmp_path)] == ["distances.png", "distances.pdf"]
    names = [text.get_text() for text in saved[0].axes[0].get_legend().get_texts()]
    assert names == ["coupled", "decoupled", "FastSAM (published)", "MobileSAM (published)"]
