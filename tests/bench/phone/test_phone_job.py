"""job=measure target=phone: from the command line through genuine adb to tables and records."""

import csv
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from native import QUICK, own_abi, require, toy_steps
from torch import nn

from bench.__main__ import main
from bench.export.formats import FORMATS
from bench.phone import cargo as cargo_module
from bench.phone.executorch import pack
from bench.phone.session import Job, Protocol, Session
from bench.phone.summary import summarise
from bench.plan.compose import load_config, to_dataclass
from bench.record import read_records
from bench.system.errors import ConfigError
from methods.copy_first_mask import CopyFirstMask
from methods.steps import STEPS, Step
from reports.__main__ import main as report
from reports.measure import write_measured

ROOT = Path(__file__).resolve().parents[3]
TOY, STUDENT = "copy_first_mask", "mobilevos_r18_no_aspp"
FAST = [f"phone.{key}={value}".replace(" ", "") for key, value in QUICK.items()]


@pytest.fixture
def runs(bundle, tmp_path) -> Path:
    """A folder of runs that has our runner already."""
    place = bundle.files[0].parent
    shutil.copytree(place, tmp_path / "runs/phone" / place.name)
    return tmp_path / "runs"


def known_steps(method, *size):
    if not isinstance(method, CopyFirstMask):
        raise ConfigError(f"{type(method).__name__} has no steps")
    return toy_steps()


@pytest.fixture
def toy(monkeypatch, cargo) -> None:
    """The simplest method has the steps of a small network, which are exported already."""
    monkeypatch.setattr(cargo_module, "example_steps", known_steps)
    program = cargo.files[0]

    def write(modules, programs, stem: Path) -> None:
        shutil.copy(program, stem.with_name(f"{stem.name}.pte"))

    monkeypatch.setitem(FORMATS, "executorch", replace(FORMATS["executorch"], write=write))


@pytest.fixture
def command(runs, tmp_path):
    """Run the job; returns its exit code."""

    def start(phone, *arguments: str) -> int:
        given = ["job=measure", "target=phone", f"phone.serial={phone.serial}", f"runs={runs}", *FAST]
        return main([*given, f"output={tmp_path / 'out'}", "device=cpu", *arguments])

    return start


def read(tmp_path) -> dict:
    return json.loads((tmp_path / "out/measure.json").read_text())


def test_the_tables_hold_what_was_measured(toy, fake_phone, command, tmp_path, capsys):
    phone = fake_phone(properties={"ro.product.cpu.abi": own_abi()})
    assert command(phone, f"method={TOY}", "phone.threads=[1,2]") == 0
    content = read(tmp_path)
    found = content["methods"][TOY]
    assert found["status"] == "ok"
    assert [(row["stage"], row["threads"]) for row in found["rows"]] == [
        ("look", 1), ("match", 1), ("look", 2), ("match", 2),
    ]  # fmt: skip
    for row in found["rows"]:
        assert row["runs"] == 2 * 3 and len(row["ms_medians"]) == 2
        assert 0 < row["ms_min"] <= row["ms_median"] <= row["ms_p90"]
        assert row["relative"] < 1e-5
    look, match = found["rows"][:2]
    frame = found["frames"][0]
    assert frame["ms_median"] == pytest.approx(look["ms_median"] + 0.5 * match["ms_median"])
    assert content["runtime"].startswith("ExecuTorch 1.")

    text = write_measured(tmp_path / "out").read_text()
    assert "Nobody has run this on a physical phone yet" in text
    assert "frame = look + 0.5 x match" in text
    assert re.search(r"\| frame \| 1 \| [\d.]+ \|", text)
    lines = list(csv.DictReader((tmp_path / "out/measure.csv").open()))
    assert [(line["stage"], line["threads"]) for line in lines[:2]] == [("frame", "1"), ("frame", "2")]
    assert float(lines[0]["ms_median"]) == frame["ms_median"]
    one, two = read_records(tmp_path / "out/records.jsonl")
    assert (one.method, one.latency_ms_median, one.status) == (TOY, frame["ms_median"], "ok")
    assert two.device == "SM-S901B, 2 threads" and two.resolution == "480x864"
    assert f"results: {tmp_path / 'out'}" in capsys.readouterr().out
    assert report([str(tmp_path / "out")]) == 0
    assert "Latency on a phone" in capsys.readouterr().out


def test_a_finished_measurement_is_made_anew(toy, fake_phone, command, tmp_path):
    phone = fake_phone(properties={"ro.product.cpu.abi": own_abi()})
    times = []
    for _ in range(2):
        assert command(phone, f"method={TOY}") == 0
        times.append([repeat["times_ns"] for repeat in read(tmp_path)["methods"][TOY]["repeats"]])
    assert times[0] != times[1]


def test_after_a_lost_link_the_same_command_goes_on(toy, fake_phone, command, tmp_path, capsys):
    phone = fake_phone(properties={"ro.product.cpu.abi": own_abi()}, drop="timeout -k", drop_at=3)
    assert command(phone, f"method={TOY}") == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert "link" in line and "2 finished repeats are kept: give the same command again" in line
    found = read(tmp_path)["methods"][TOY]
    assert found["status"] == "interrupted: 2 of 4 repeats missing"
    assert found["frames"][0]["ms_median"] > 0
    phone.plug_in()
    assert command(phone, f"method={TOY}") == 0
    found = read(tmp_path)["methods"][TOY]
    assert "2 of 4 repeats are of an earlier, interrupted command" in found["warnings"]


def test_a_method_that_fails_stops_nothing(toy, fake_phone, command, tmp_path, capsys):
    phone = fake_phone(properties={"ro.product.cpu.abi": own_abi()})
    assert command(phone, f"methods=[{STUDENT},{TOY}]") == 1
    status = read(tmp_path)["methods"][STUDENT]["status"]
    assert status == "failed: MobileVOS has no steps"
    assert f"warning: {STUDENT}: {status}" in capsys.readouterr().err
    assert [record.status for record in read_records(tmp_path / "out/records.jsonl")] == [status, "ok"]


def test_an_operator_that_executorch_does_not_have_is_named(tmp_path):
    require()
    pool = Step("pool", nn.AdaptiveMaxPool2d(1), {"x": torch.rand(1, 3, 8, 8)}, ("most",))
    with pytest.raises(ConfigError, match="ExecuTorch cannot take this network: .*adaptive_max_pool2d"):
        pack([pool], "pool", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("target=tablet", "target=tablet: choose one of desktop, phone"),
        ("phone.repeats=0", "phone.repeats=0: give a whole number of at least 1"),
        ("phone.runtime=ncnn", "phone.runtime=ncnn: choose one of executorch, litert"),
        ("phone.repeat=5", "did you mean 'phone.repeats'"),
        ("measure.precision=bf16", "measure.precision cannot be set with target=phone"),
        ("measure.threads=1", "phone.threads="),
        ("phone.adb=/nowhere/adb", "there is no such program"),
    ],
)
def test_a_mistake_gets_one_line(argument, message, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("bench.phone.executorch.find_format", lambda name: None)
    assert main(["job=measure", "target=phone", "device=cpu", argument, f"output={tmp_path}"]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert message in line


def repeat(number: int, times_ms: list[float], stage: str = "all", **changes) -> tuple[Job, dict]:
    found = {
        "mode": "burst", "threads": 1, "stage": stage, "mask": "80", "times_ns": [1e6 * t for t in times_ms],
        "differences": {"map": {"max_abs": 1e-6, "relative": 1e-6}}, "peak_rss_mb": 10.0, "flags": [],
        "before": {"cores": [{"governor": "walt"}]},
    }  # fmt: skip
    return Job("burst", 1, stage, number), found | changes


def entry(*repeats: tuple[Job, dict], **shares: float) -> dict:
    return summarise(Session(Path(), len(repeats), dict(repeats)), shares or {"all": 1.0})


def test_the_statistics_are_those_of_all_runs():
    (row,) = entry(repeat(0, [1, 2, 3, 4]), repeat(1, [5, 6, 7]))["rows"]
    assert row["ms_median"] == 4 and row["ms_min"] == 1 and row["runs"] == 7
    assert row["ms_p90"] == pytest.approx(6.4)  # linear interpolation at 0.9 x 6
    assert row["ms_iqr"] == pytest.approx(5.5 - 2.5)
    assert row["ms_medians"] == [2.5, 6]


def test_what_makes_times_doubtful_is_said():
    steady = entry(repeat(0, [100]), repeat(1, [105]))
    assert steady["warnings"] == [] and steady["status"] == "ok"
    assert entry(repeat(0, [100]), repeat(1, [106]))["warnings"] == [
        "all, 1 thread: the repeats' medians spread by 5.8 %",
        "frame, 1 thread: the repeats' medians spread by 5.8 %",
    ]
    changed = entry(repeat(0, [1]), repeat(1, [1], before={"cores": [{"governor": "performance"}]}))
    assert changed["warnings"] == ["all, 1 thread: the governor of the clocks changed between repeats"]
    hot = entry(repeat(0, [1], flags=["charging"]), repeat(1, [1], flags=["charging"]))
    assert hot["warnings"] == ["all, 1 thread: charging"]
    for relative in (0.01, float("nan")):
        wrong = entry(repeat(0, [1], differences={"map": {"max_abs": relative, "relative": relative}}))
        assert "do not use these times" in wrong["warnings"][0]


def test_a_frame_needs_all_its_steps():
    both = entry(repeat(0, [10], "read"), repeat(0, [20], "write"), read=1.0, write=0.2)
    assert both["frames"][0]["ms_median"] == 14
    assert entry(repeat(0, [10], "read"), read=1.0, write=0.2)["frames"] == []


def documented() -> list[str]:
    text = (ROOT / "docs/phone.md").read_text()
    lines = [x for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for x in block.splitlines()]
    return [shlex.join(shlex.split(x, comments=True)[1:]) for x in lines if x.startswith("./run_all.sh")]


@pytest.mark.parametrize("line", documented())
def test_a_documented_command_is_a_configuration(line):
    config = load_config(shlex.split(line))
    if config.job == "measure":
        to_dataclass(config.phone, Protocol).check()


def test_every_setting_is_documented():
    assert len(documented()) > 3
    text = (ROOT / "docs/phone.md").read_text()
    assert all(f"`phone.{name}`" in text for name in Protocol.__dataclass_fields__)
    assert "nobody has run this on a physical phone yet" in " ".join(text.split()).lower()


@pytest.mark.slow
def test_a_student_answers_on_the_phone_as_in_eager(fake_phone, command, tmp_path):
    phone = fake_phone(properties={"ro.product.cpu.abi": own_abi()})
    small = ["options.width=0.25", "measure.height=64", "measure.width=96", "phone.repeats=1"]
    assert command(phone, f"method={STUDENT}", *small) == 0
    found = read(tmp_path)["methods"][STUDENT]
    assert [row["stage"] for row in found["rows"]] == list(STEPS)
    assert 0 < found["frames"][0]["relative"] < 1e-4


@pytest.mark.slow
def test_the_bundle_for_arm64_answers_as_eager(toy, fake_phone, command, tmp_path):
    require("aarch64-linux-gnu-g++", "qemu-aarch64-static")
    phone = fake_phone(properties={"ro.product.cpu.abi": "arm64-v8a"})
    inside = phone.inside
    phone.inside = lambda text: inside(text).replace("./ld-linux", "qemu-aarch64-static ./ld-linux")
    assert command(phone, f"method={TOY}", "phone.repeats=1") == 0
    assert 0 < read(tmp_path)["methods"][TOY]["frames"][0]["relative"] < 1e-4
