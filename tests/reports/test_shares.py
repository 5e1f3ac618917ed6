"""What tables and figures say of how much each loss weighs, and of which pixels are compared."""

import json
from dataclasses import replace

import pytest

from reports.figures.shares import share_chart
from reports.figures.style import theme
from reports.shares import share_notes


@pytest.fixture
def weighed(make_cell):
    """Two rows of two seeds: one varies a loss of hardly any weight, the other the sampled pixels."""

    def cell(label, seed, representation, varied, boundary):
        shares = json.dumps({"representation": representation, "logits": 0.5})
        sampled = json.dumps({"boundary": boundary, "random": 0.1})
        record = make_cell(label, seed, 50.0)
        return replace(record, loss_shares=shares, varied_losses=json.dumps(varied), sampling_shares=sampled)

    return [
        *(cell("omega=0", seed, 0.01 + 0.02 * seed, ["representation"], 0.9) for seed in range(2)),
        *(cell("random", seed, 0.3, ["representation"], 0.2) for seed in range(2)),
    ]


def test_notes_tell_the_shares_and_which_rows_vary_what_hardly_acts(weighed):
    shares, little, pixels = share_notes(weighed)
    assert shares.endswith("omega=0: representation 0.02, logits 0.50; random: representation 0.30, logits 0.50.")
    assert little == "omega=0: representation, which it varies, hardly acts (2.0%)."
    assert pixels.endswith("omega=0 90 and 10; random 20 and 10.")


def test_rows_without_a_teacher_say_nothing(make_cell, tmp_path):
    records = [make_cell("labels only", 0, 50.0)]
    assert share_notes(records) == []
    assert share_chart(records, tmp_path) == []


def test_the_figure_has_plain_numbers_and_a_mark_a_loss(weighed, tmp_path):
    with theme():
        drawn = share_chart.__wrapped__(weighed, tmp_path)  # as it is before it is written
        drawn.draw_without_rendering()
    (axis,) = drawn.axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["representation", "logits"]
    assert all("$" not in tick.get_text() for tick in axis.get_xticklabels())
    places = [marks.get_offsets()[:, 0].tolist() for marks in axis.collections]
    assert places == [pytest.approx([0.02, 0.3]), [0.5, 0.5]]
