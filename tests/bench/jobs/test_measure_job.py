"""job=measure: from the command line to tables, records and a figure."""

import csv
import json
import re
import shlex
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.jobs import measure as job
from bench.measure.protocols import PROTOCOLS
from bench.record import read_records
from methods import available
from reports.__main__ import main as report
from reports.measure import write_measured
from reports.measure.desktop import notes, page, ratios, row
from reports.measure.explanations import PROTOCOLS_EXPLAINED

ROOT = Path(__file__).resolve().parents[3]
STUDENT = "mobilevos_r18_no_aspp"
SMALL = ["job=measure", "device=cpu", "measure.height=64", "measure.width=96", "measure.frames=3"]
QUICK = [*SMALL, "measure.max_seconds=0", "measure.lengths=[1,10]", "measure.object_counts=[1]"]


def read(out: Path) -> dict:
    return json.loads((out / "measure.json").read_text())


class NoTracker:
    """In place of a Tracker, whose new database takes seconds; test_report_job.py has a real one."""

    def __init__(self, *_) -> None: ...

    @contextmanager
    def invocation(self, *_):
        yield self

    def log_table(self, records) -> None: ...


@pytest.fixture(scope="module", autouse=True)
def untracked():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "Tracker", NoTracker)
        yield


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """The folder of results of one small student."""
    out = tmp_path_factory.mktemp("measured")
    assert main([*QUICK, f"method={STUDENT}", "options.width=0.25", f"output={out}"]) == 0
    return out


def test_everything_about_a_method_is_written(measured):
    content = read(measured)
    found = content["methods"][STUDENT]
    assert found["status"] == "ok"
    assert list(found["protocols"]) == list(PROTOCOLS)
    assert all(timing["fps"] > 0 for timing in found["protocols"].values())
    assert found["parameters"]["total"] == sum(found["parameters"]["modules"].values())
    assert found["complexity"]["counters"].keys() == {"torch", "fvcore", "thop"}
    assert [c["memory_frames"] for c in found["frame_gmacs"]] == [1, 2]
    assert found["memory_mb_peak"] > 4 * found["parameters"]["total"] / 2**20
    assert found["sweep"]["length"]["video_frames"] == [1, 10]
    assert found["load"]["cores"] >= 1
    assert content["device"] and content["versions"] and content["settings"]["height"] == 64


def test_the_tables_hold_the_numbers_of_the_json(measured):
    found = read(measured)["methods"][STUDENT]
    write_measured(measured)
    (line,) = csv.DictReader((measured / "measure.csv").open())
    assert line["method"] == STUDENT
    assert float(line["params_m"]) * 1e6 == pytest.approx(found["parameters"]["total"])
    assert float(line["gmacs_fvcore"]) == found["complexity"]["gmacs_fvcore"]
    assert float(line["core_ms_median"]) == found["protocols"]["core"]["ms_median"]
    assert float(line["video_fps"]) == found["protocols"]["video"]["fps"]
    assert (line["stcn_ms_median"], line["height"], line["precision"]) == ("", "64", "fp32")
    text = (measured / "measure.md").read_text()
    assert f"| {STUDENT} | " in text
    for words in ("1 MAC", "native_batch_norm", "1 in memory", "query_encoder", "Published, not measured here"):
        assert words in text


def test_the_record_of_a_narrow_network_claims_nothing_about_the_full_one(measured):
    (record,) = read_records(measured / "records.jsonl")
    assert (record.label, record.status, record.resolution) == (STUDENT, "ok", "64x96")
    assert record.params_m and record.fps and record.latency_ms_median and record.device and record.config_hash
    assert (record.params_m_full, record.gmacs_full, record.memory_mb_peak_full) == (None, None, None)


def test_the_report_shows_the_table_and_draws_the_figure(measured, capsys):
    assert report([str(measured)]) == 0
    assert "frame (ms)" in capsys.readouterr().out
    assert "GMACs (thop)" in (measured / "measure.md").read_text()
    assert (measured / "measure.png").stat().st_size > 5000
    assert (measured / "measure.pdf").exists()
    assert not (measured / "table.md").exists()


def test_without_a_network_the_rest_is_measured(tmp_path):
    assert main([*QUICK, "method=copy_first_mask", f"output={tmp_path}"]) == 0
    found = read(tmp_path)["methods"]["copy_first_mask"]
    assert found["protocols"]["core"] is None
    assert found["protocols"]["frame"]["fps"] > 0
    assert "parameters" not in found
    assert report([str(tmp_path)]) == 0  # with nothing to draw
    assert not (tmp_path / "measure.png").exists()


FAKE = {
    "status": "ok",
    "parameters": {"total": 4_000_000, "trainable": 4_000_000, "buffers": 10, "modules": {"all": 4_000_000}},
    "protocols": {"core": {"ms_median": 40.0}, "frame": {"ms_median": 80.0, "fps": 12.0}},
    "complexity": {
        "gmacs": 20.0, "gmacs_fvcore": 21.0, "gmacs_thop": 22.0, "writes_per_frame": 0.5,
        "counters": {c: dict.fromkeys(("query_encode", "memory_read", "decode", "memory_encode"), 5.0)
                     for c in ("torch", "fvcore", "thop")},
    },
    "memory_mb_peak": 200.0,
    "precision": "fp32",
    "warnings": [],
}  # fmt: skip
SPREAD = ("ms_first", "ms_p90", "ms_p99", "ms_iqr", "fps", "frames", "objects", "memory_frames")


def fake(**changes) -> dict:
    protocols = {name: dict.fromkeys(SPREAD) | timing for name, timing in FAKE["protocols"].items()}
    return {**FAKE, "protocols": protocols, **changes}


@pytest.fixture
def quick(monkeypatch) -> list[str]:
    """Measuring takes no time; the methods that were measured."""
    done = []
    monkeypatch.setattr(job, "measure_method", lambda name, *_: done.append(name) or fake())
    return done


def test_all_methods_but_the_heavy_ones_are_measured_unless_some_are_named(quick, tmp_path, capsys):
    main([*QUICK, f"output={tmp_path}"])
    assert quick == [name for name in available() if name not in ("sam_vit_b", "sam_vit_h")]
    assert "not measured unless named" in capsys.readouterr().err
    quick.clear()
    main([*QUICK, "method=sam_vit_b", f"output={tmp_path}"])
    assert quick == ["sam_vit_b"]
    quick.clear()
    main([*QUICK, "methods=[stcn,mobilevos_r18,stcn]", f"output={tmp_path}"])
    assert quick == ["stcn", "mobilevos_r18"] == list(read(tmp_path)["methods"])
    quick.clear()
    main([*QUICK, "method=stcn", f"output={tmp_path}"])
    assert quick == ["stcn"]


def test_a_record_of_the_published_size_has_the_costs_of_the_full_network(quick, tmp_path):
    assert main(["job=measure", "device=cpu", "method=stcn", f"output={tmp_path}"]) == 0
    (record,) = read_records(tmp_path / "records.jsonl")
    assert (record.params_m_full, record.gmacs_full, record.gmacs_thop_full) == (4.0, 20.0, 22.0)
    assert (record.memory_mb_peak_full, record.fps, record.latency_ms_median) == (200.0, 12.0, 80.0)


def test_a_method_that_fails_stops_nothing(monkeypatch, tmp_path, capsys):
    def measure(name, options, *_):
        return fake() if name == "stcn" else job.methods.create(name, **options)

    monkeypatch.setattr(job, "measure_method", measure)
    arguments = [*QUICK, "methods=[copy_first_mask,stcn]", "options.memory_every=2", f"output={tmp_path}"]
    assert main(arguments) == 0
    found = read(tmp_path)["methods"]
    assert re.match("failed: method 'copy_first_mask': .*'memory_every'", found["copy_first_mask"]["status"])
    assert found["stcn"]["status"] == "ok"
    assert "warning: copy_first_mask: failed" in capsys.readouterr().err
    assert [r.status for r in read_records(tmp_path / "records.jsonl")][1] == "ok"
    assert main([*arguments, "methods=[copy_first_mask]"]) == 1


def test_what_breaks_while_measuring_keeps_what_was_measured(monkeypatch, tmp_path):
    from bench.measure import everything

    def fail(*_, **__):
        raise RuntimeError("out of memory\nand a long story")

    monkeypatch.setattr(everything, "measure_memory", fail)
    assert main([*QUICK, f"method={STUDENT}", "options.width=0.25", f"output={tmp_path}"]) == 1
    found = read(tmp_path)["methods"][STUDENT]
    assert found["status"] == "failed: out of memory"
    assert found["complexity"]["gmacs"] > 0
    assert "protocols" not in found
    assert f"{STUDENT}: failed: out of memory." in write_measured(tmp_path).read_text()


def test_a_kill_loses_one_method_at_most(monkeypatch, tmp_path, capsys):
    def measure(name, *_):
        if name == "stcn":
            raise KeyboardInterrupt
        return fake()

    monkeypatch.setattr(job, "measure_method", measure)
    assert main([*QUICK, "methods=[mobilevos_r18,stcn]", f"output={tmp_path}"]) == 130
    assert list(read(tmp_path)["methods"]) == ["mobilevos_r18"]
    assert len(read_records(tmp_path / "records.jsonl")) == 1
    assert f"results: {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("method=stnc", "unknown method 'stnc'; known: .*stcn"),
        ("methods=[stcn,stnc]", "unknown method 'stnc'; known: .*stcn"),
        ("methods=[]", "methods=.*name at least one"),
        ("methods=[masks:/]", "'masks:/' has nothing to measure"),
        ("measure=false", "measure=False: job=measure always measures"),
        ("measure.hieght=96", "did you mean 'measure.height'"),
        ("measure.precision=fp8", "measure.precision=fp8: choose one of"),
        ("measure.protocols=[fps]", "unknown protocol 'fps'; known: core"),
        ("measure.frames=many", "measure.frames=many: give a whole number"),
    ],
)
def test_a_mistake_gets_one_line(argument, message, quick, tmp_path, capsys):
    assert main([*SMALL, argument, f"output={tmp_path}"]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert re.search(message, line), line
    assert not quick


def test_method_and_methods_exclude_each_other(quick, capsys):
    assert main([*SMALL, "method=stcn", "methods=[stcn]"]) == 2
    assert "not both" in capsys.readouterr().err


def test_other_jobs_keep_measure_as_a_switch(capsys):
    assert main(["measure=false", "--config"]) == 0
    assert "measure: false" in capsys.readouterr().out


def documented() -> list[str]:
    text = (ROOT / "docs/measuring.md").read_text()
    lines = [x for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for x in block.splitlines()]
    return [line for line in lines if line.startswith("./run_all.sh")]


@pytest.mark.parametrize("command", documented())
def test_a_documented_command_runs(command, quick, tmp_path):
    assert main([*shlex.split(command, comments=True)[1:], "device=cpu", f"output={tmp_path}"]) == 0
    assert quick


def test_every_protocol_and_setting_is_documented():
    assert list(PROTOCOLS_EXPLAINED) == list(PROTOCOLS)
    assert len(documented()) > 3
    text = (ROOT / "docs/measuring.md").read_text()
    assert all(f"| `{name}` |" in text for name in PROTOCOLS)


def test_the_ratio_to_stcn_is_stated_and_the_published_one_labelled():
    slow = {name: {**timing, "ms_median": 5 * timing["ms_median"]} for name, timing in fake()["protocols"].items()}
    found = {"stcn": fake(protocols=slow), "mobilevos_r18": fake()}
    (sentence,) = ratios(found)
    assert sentence.startswith("Measured here, STCN takes 5.0 times core's time, 5.0 times frame's time")
    assert "1.0 times the multiply-adds" in sentence
    assert ratios({"mobilevos_r18": fake()}) == []
    settings = {"height": 480, "width": 864, "objects": 1, "aot_objects": 2, "channels_last": True}
    settings |= {"compile": False, "protocols": ["core", "frame"]}
    content = {"settings": settings, "options": {}, "device": "toy", "frames": 3, "stages": [], "methods": found}
    lines = notes(content)
    assert lines[0].startswith("Frames of 480x864, 1 object (2 objects in aot); toy, fp32, channels_last;")
    assert sum(line.startswith("Published, not measured here") for line in lines) == 1
    assert "| stcn | 4.00 | 4.00 | 20.0 | 21.0 | 22.0 | 200 | 400 | — | — | — | 200 |" in page(content)


def test_a_busy_machine_is_in_the_table_and_the_csv():
    busy = fake(warnings=["busy machine: others used 1.5 of 2 cores"], load={"other_cores": 1.5})
    assert row("stcn", busy, [])["warnings"].startswith("busy machine")
    assert row("stcn", busy, [])["other_cores"] == 1.5
