"""A method in a user's own file: evaluated, timed and counted as the suite's, and its failures told."""

import json
import re
from pathlib import Path

import pytest

STEP = "def step(self, frame):\n    {}\n    return super().step(frame)"  # its line is the sixth of the file


def test_it_is_judged_as_those_of_the_suite(tiny_run, mine):
    assert tiny_run("job=evaluate", "method=copy_first_mask") == 0
    (theirs,) = tiny_run.records
    assert tiny_run("job=evaluate", f"method={mine()}") == 0
    (own,) = tiny_run.records
    assert (own.label, own.method, own.jf_mean) == ("Mine", "mine.py:Mine", theirs.jf_mean)
    assert own.fps and own.params_m == 0 and own.frames == theirs.frames
    assert Path(own.overlay).is_file()


def test_an_edit_of_the_file_is_judged_anew_and_nothing_else_is(tiny_run, mine):
    found = []
    for code in ("pass", "pass", "edited = True"):
        assert tiny_run("job=evaluate", f"method={mine(code)}") == 0
        found += tiny_run.records
    first, again, edited = found
    assert again == first
    assert edited.config_hash != first.config_hash


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (STEP.format("raise ValueError('no flow')"), r"failed: \S*mine.py:6: ValueError: no flow"),
        (
            "def step(self, frame):\n    return super().step(frame)[:, ::2]",
            r"failed: Mine answered \(\d, 24, 64\) where a tensor \(\d, 48, 64\)",
        ),
        ("def step(self, frame):\n    return super().step(frame).numpy()", "failed: Mine answered ndarray where"),
    ],
)
def test_a_failure_is_told_by_file_and_line_and_the_others_go_on(code, message, tiny_run, mine, capsys):
    assert tiny_run("job=compare", f"methods=[{mine(code)},copy_first_mask]") == 0
    own, theirs = tiny_run.records
    assert re.match(message, own.status)
    assert (theirs.label, theirs.status) == ("copy_first_mask", "ok")
    assert "Traceback" not in capsys.readouterr().err
    (trace,) = tiny_run.runs.glob("cells/mine.py-Mine-*/traceback.txt")
    assert "Error" in trace.read_text()


def test_training_it_is_refused_where_it_cannot_be_trained(tiny_run, mine, told):
    assert tiny_run("ablation=sampling", f"method={mine()}") == 2
    assert "mine.py:Mine' cannot be trained by the suite: it has no roll_out" in told()[-1]


def test_check_tells_what_is_broken_and_how_to_mend_it(tiny_run, mine, capsys):
    name = mine("def step(self, frame):\n    return super().step(frame)[:, 1:]")
    assert tiny_run("job=check", f"method={name}") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAIL  shapes")
    assert "(3, 49, 70) in place of (3, 50, 70)" in lines[1] and "to mend it: give a plane" in lines[1]
    promises = json.loads((tiny_run.out / "check.json").read_text())["promises"]
    assert {p["promise"] for p in promises if p["kept"] is False} >= {"shapes", "sizes"}


def test_a_folder_of_weights_reaches_its_constructor_and_counts_by_its_bytes(tiny_run, mine, tmp_path):
    (tmp_path / "model").mkdir()
    name = mine("def __init__(self, folder):\n    super().__init__()\n    open(folder + '/weights.bin').close()")
    found = []
    for content in (b"one", b"two"):
        (tmp_path / "model/weights.bin").write_bytes(content)
        assert tiny_run("job=evaluate", f"method={name}", f"weights={tmp_path}/model") == 0
        found += tiny_run.records
    assert [record.status for record in found] == ["ok", "ok"]
    assert found[0].config_hash != found[1].config_hash


def test_its_costs_stand_beside_the_others(tiny_run, mine):
    name = mine(
        "def __init__(self):\n    import torch\n    super().__init__()\n    self.net = torch.nn.Linear(9, 100)\n"
        + STEP.format("frame[0] @ frame[0].T")
    )
    assert tiny_run("job=evaluate", f"method={name}", "measure=true") == 0
    (record,) = tiny_run.records
    assert record.gmacs_full == pytest.approx(480 * 864 * 480 / 1e9)
    assert record.gmacs_thop_full is None
    assert record.params_m == record.params_m_full == pytest.approx(1000 / 1e6)
    assert record.latency_ms_median_full > 0 and record.memory_mb_peak_full > 0


def test_what_cannot_be_copied_is_measured_itself(tiny_run, mine):
    """As a class that holds objects of OpenCV."""
    name = mine(
        "def __init__(self):\n    import threading\n    super().__init__()\n    self.held = threading.Lock()\n"
    )
    assert tiny_run("job=evaluate", f"method={name}", "measure=true") == 0
    (record,) = tiny_run.records
    assert record.latency_ms_median_full > 0 and record.memory_mb_peak_full > 0


def test_where_it_fails_at_full_size_its_scores_stay(tiny_run, mine, told):
    name = mine(STEP.format("assert frame.shape[1] < 400"))
    assert tiny_run("job=evaluate", f"method={name}", "measure=true") == 0
    (record,) = tiny_run.records
    assert record.status == "ok" and record.jf_mean is not None and record.latency_ms_median_full is None
    text = r"costs of a frame of 480x864 are left out: \S*mine.py:6: AssertionError$"
    assert any(re.search(text, line) for line in told())
