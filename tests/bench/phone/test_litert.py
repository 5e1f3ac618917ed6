"""LiteRT on a phone: what its benchmark_model prints, what the converter makes, and the whole job."""

import hashlib
import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from native import QUICK, toy_steps
from torch import Tensor, nn

from bench.__main__ import main
from bench.phone import cargo as cargo_module
from bench.phone import litert
from bench.phone.adb import PhoneError, connect
from bench.phone.litert import INSTALL, LITERT, MODULES, pack, read_statistics
from bench.phone.process import install
from bench.phone.runtime import PhoneSettings
from bench.phone.session import difference
from bench.system.errors import ConfigError
from methods.steps import Step

TOY = "copy_first_mask"
FAST = [f"phone.{key}={value}".replace(" ", "") for key, value in QUICK.items()]


@pytest.fixture
def converter() -> None:
    """What needs LiteRT itself; under VOS_BENCH_NEEDS_LITERT=1 it fails without."""
    missing = [name for name in MODULES if find_spec(name) is None]
    if missing:
        stop = pytest.fail if os.environ.get("VOS_BENCH_NEEDS_LITERT") == "1" else pytest.skip
        stop(f"not installed: {', '.join(missing)} (pip install -e '.[litert]')")


@pytest.fixture
def program(tmp_path, monkeypatch) -> Path:
    """A stand-in for benchmark_model, as if it had been downloaded: no program yet."""
    monkeypatch.setattr(litert, "version", lambda name: "1.2.3")
    source = (Path(__file__).parents[2] / "helpers/benchmark_model.py").read_text()
    path = tmp_path / "benchmark_model"
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(0o644)
    return path


def start(phone, program: Path):
    settings = PhoneSettings(serial=phone.serial, runtime="litert", benchmark_model=str(program))
    bundle = LITERT.bundle("arm64-v8a", program.parent, settings)
    return install(connect(phone.serial), LITERT, bundle, settings.folder)


# what it prints

WARM = "INFO: count=7 first=900 curr=310 min=300 max=900 avg=400 std=200 p5=300 median=320 p95=900\n"


def test_the_last_line_of_statistics_counts():
    runs = "INFO: count=50 first=310 curr=301 min=299 max=3.5e+06 avg=303.2 std=7 p5=299 median=302 p95=318\n"
    found = read_statistics(f"{WARM}\n{runs}INFO: Inference timings in us: Init: 1234, First inference: 900\n")
    assert found == {"runs": 50, "median": 0.302, "p95": 0.318, "min": 0.299}


def test_runs_that_all_took_the_same_time_have_no_minimum_of_their_own():
    found = read_statistics(f"{WARM}count=3 curr=302(all same) p5=302 median=302 p95=302")
    assert found == {"runs": 3, "median": 0.302, "p95": 0.302, "min": 0.302}


@pytest.mark.parametrize(
    "said", ["", "INFO: Loaded model", "count=0 p5=0 median=0 p95=0", "count=5 first=3 curr=4"]
)
def test_without_statistics_there_are_none(said):
    assert read_statistics(said) is None


# on this computer


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(litert, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as missing:
        LITERT.check(PhoneSettings())
    assert str(missing.value).endswith(f"needs litert_torch, ai_edge_litert; install with {INSTALL}")
    monkeypatch.setattr(litert, "find_spec", lambda name: True)
    with pytest.raises(ConfigError, match="needs phone.benchmark_model=/path/to/benchmark_model.*docs/phone.md"):
        LITERT.check(PhoneSettings())
    with pytest.raises(ConfigError, match=f"phone.benchmark_model={tmp_path}/none: there is no such file"):
        LITERT.check(PhoneSettings(benchmark_model=f"{tmp_path}/none"))


class Awkward(nn.Module):
    """What the converter needs told in other words: an expanded batch before a convolution, a split into one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.mix = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(7, 2, 1)

    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        x = torch.cat([one.expand(2, -1, -1, -1), self.conv(two)], 1)
        (whole,) = self.mix(x).split(2)
        return whole


def test_a_program_computes_what_the_network_does(converter, tmp_path):
    noise = torch.Generator().manual_seed(0)
    inputs = {name: torch.rand(n, 3, 8, 12, generator=noise) for name, n in (("one", 1), ("two", 2))}
    awkward = Step("awkward", Awkward().eval().requires_grad_(False), inputs, ("out",))
    packed = pack([awkward, *toy_steps()], "toy", tmp_path)
    assert [file.name for file in packed.files] == ["awkward.tflite", "look.tflite", "match.tflite"]
    for name, answers in packed.answers.items():
        for found, expected in zip(packed.computed[name], answers, strict=True):
            assert found.shape == expected.shape and difference(found, expected)["relative"] < 1e-5


def test_a_network_that_cannot_be_converted_is_told_in_one_line(converter, tmp_path):
    broken = Step("unique", nn.MaxUnpool2d(2), {"x": torch.rand(1, 1, 4, 4)}, ("out",))
    with pytest.raises(ConfigError, match=r"^LiteRT cannot take this network: .+") as error:
        pack([broken], "broken", tmp_path)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


# on a phone


def test_a_download_is_made_a_program_and_stays_on_the_phone(fake_phone, program):
    phone = fake_phone()
    runner = start(phone, program)
    (left,) = (phone.folder / "vos-bench").iterdir()
    assert (
        left.name == Path(runner.folder).name == f"runner-{hashlib.sha256(program.read_bytes()).hexdigest()[:16]}"
    )
    assert os.access(left / "benchmark_model", os.X_OK)
    before = (left / "benchmark_model").stat().st_mtime_ns
    start(phone, program)
    assert (left / "benchmark_model").stat().st_mtime_ns == before


def test_a_file_that_is_no_program_is_told(fake_phone, program):
    program.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(PhoneError, match="cannot start the runner.*made for Android on arm64-v8a"):
        start(fake_phone(), program)


@pytest.fixture
def toy(monkeypatch) -> None:
    """Any method has the steps of a small network."""
    monkeypatch.setattr(cargo_module, "example_steps", toy_steps)


@pytest.fixture
def measure(converter, program, tmp_path):
    """Run the job; returns its exit code."""

    def command(phone, *arguments: str) -> int:
        given = ["target=phone", "phone.runtime=litert", f"phone.benchmark_model={program}", "device=cpu", *FAST]
        places = [f"phone.serial={phone.serial}", f"runs={tmp_path}/runs", f"output={tmp_path}/out"]
        return main(["job=measure", *given, *places, *arguments])

    return command


def test_the_tables_hold_what_was_measured(toy, fake_phone, measure, program, tmp_path):
    assert measure(fake_phone(), f"method={TOY}", "phone.threads=[1,2]") == 0
    content = json.loads((tmp_path / "out/measure.json").read_text())
    found = content["methods"][TOY]
    assert [(row["stage"], row["threads"]) for row in found["rows"]] == [
        ("look", 1), ("match", 1), ("look", 2), ("match", 2),
    ]  # fmt: skip
    for row in found["rows"]:
        assert row["runs"] == 2 * 3 and len(row["ms_medians"]) == 2
        assert 0 < row["ms_min"] <= row["ms_median"] <= row["ms_p95"]
        assert row["relative"] < 1e-5
        assert row["ms_p90"] is row["ms_iqr"] is row["peak_rss_mb"] is None
    look, match = found["rows"][:2]
    assert found["frames"][0]["ms_median"] == pytest.approx(look["ms_median"] + 0.5 * match["ms_median"])
    assert content["runtime"].startswith("LiteRT, XNNPACK; benchmark_model of sha256 ")
    assert hashlib.sha256(program.read_bytes()).hexdigest() in content["runtime"]
    text = (tmp_path / "out/measure.md").read_text()
    assert "outputs of LiteRT on this computer" in text
    assert "the median is that of the repeats' medians" in text
    assert re.search(r"\| frame \| 1 \| [\d.]+ \| — \| [\d.]+ \|", text)


def test_a_process_that_fails_ends_its_row_with_its_reason(toy, fake_phone, measure, program, tmp_path, capsys):
    program.write_text(program.read_text().replace('flags["graph"], num', '"/none", num'))
    assert measure(fake_phone(), f"method={TOY}") == 1
    said = capsys.readouterr().err
    assert f"warning: {TOY}: failed: look, 1 thread: it failed (exit code 1: ERROR: Failed to initialize" in said


@pytest.mark.slow
def test_a_student_answers_in_litert_as_in_eager(fake_phone, measure, tmp_path):
    small = ["options.width=0.25", "measure.height=64", "measure.width=96", "measure.objects=2"]
    assert measure(fake_phone(), "method=mobilevos_mnv2_no_aspp", *small, "phone.repeats=1") == 0
    found = json.loads((tmp_path / "out/measure.json").read_text())["methods"]["mobilevos_mnv2_no_aspp"]
    assert len(found["rows"]) > 2
    assert 0 < found["frames"][0]["relative"] < 1e-4
