"""job=phone.doctor: one screen that says what is there, what is missing and what to do."""

import re
from importlib.metadata import PackageNotFoundError

import pytest

from bench.__main__ import main
from bench.phone import doctor
from bench.phone.doctor import examine
from bench.phone.runtime import PhoneSettings
from bench.system.errors import ConfigError


@pytest.fixture(autouse=True)
def equipped(monkeypatch):
    """A computer with all libraries and compilers."""
    monkeypatch.setattr(doctor, "version", lambda name: "1.2.3")
    monkeypatch.setattr(doctor, "find_compiler", lambda machine: f"{machine.name}-g++")


def said(name: str, **settings) -> tuple[str, str]:
    (check,) = (check for check in examine(PhoneSettings(**settings)) if check.name == name)
    return check.status, check.text


def test_a_phone_that_is_ready(fake_phone, capsys):
    made = fake_phone(properties={"ro.product.cpu.abi": "arm64-v8a"})
    assert main(["job=phone.doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11 and all(line.startswith("ok ") for line in lines)
    screen = "\n".join(lines)
    for fact in (
        "/adb", f"{made.serial}: SM-S901B, Android 14", "20000 MB", "85 %", "31.2 °C",
        "aarch64-g++, for arm64-v8a", "walt (free clocks); 8 cores of up to 1824, 2515, 2995 MHz",
    ):  # fmt: skip
        assert fact in screen
    assert max(map(len, lines)) < 120


def test_without_a_phone_the_computer_is_looked_at(adb_server, capsys):
    assert main(["job=phone.doctor"]) == 1
    out = capsys.readouterr().out
    assert "missing  phone        no phone is attached: enable USB debugging" in out
    assert "ok       compiler" in out and "battery" not in out


def test_without_adb(tmp_path, capsys):
    assert main(["job=phone.doctor", f"phone.adb={tmp_path}/adb"]) == 1
    assert "missing  adb " in capsys.readouterr().out


def test_a_phone_is_chosen_by_its_serial(fake_phone, capsys):
    one, two = fake_phone(), fake_phone()
    assert said("phone")[0] == "missing"
    assert main(["job=phone.doctor", f"phone.serial={two.serial}"]) == 0
    assert f"{two.serial}: SM-S901B" in capsys.readouterr().out
    assert not one.commands


def test_an_unauthorized_phone(fake_phone):
    fake_phone(unauthorized=True)
    status, text = said("phone")
    assert status == "missing" and "accept the prompt" in text


@pytest.mark.parametrize(
    "name, status, words, facts",
    [
        ("ABI", "missing", "armeabi-v7a: .*arm64-v8a", {"properties": {"ro.product.cpu.abi": "armeabi-v7a"}}),
        ("free space", "missing", "100 MB .*phone.folder=", {"free_mb": 100}),
        ("battery", "warning", "12 %: charge it", {"level": 12}),
        ("battery", "warning", "charging, which warms", {"charging": True}),
        ("battery", "warning", "low-power mode: turn it off", {"low_power": "1"}),
        ("temperature", "warning", "39.5 °C.*will wait", {"celsius": (39.5,)}),
        ("temperature", "warning", "status 2: .*will wait", {"thermal": (2,)}),
        ("temperature", "warning", "unknown", {"celsius": (), "thermal": ()}),
        ("governor", "warning", "unknown", {"cores_khz": None}),
        ("governor", "ok", "performance .fixed clocks.", {"governor": "performance"}),
    ],
)
def test_what_is_wrong_with_a_phone(fake_phone, name, status, words, facts):

    fake_phone(**facts)
    checks = {check.name: check for check in examine(PhoneSettings())}
    assert checks[name].status == status
    assert re.search(words, checks[name].text)
    missing = [check.name for check in checks.values() if check.status == "missing"]
    assert missing == ([name] if status == "missing" else [])


def test_what_is_missing_on_the_computer(fake_phone, monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    def no_compiler(machine):
        raise ConfigError("install g++")

    fake_phone()
    monkeypatch.setattr(doctor, "version", nothing)
    assert said("executorch")[0] == "missing" and "pip install" in said("executorch")[1]
    assert said("litert-torch")[0] == "optional"
    monkeypatch.setattr(doctor, "find_compiler", no_compiler)
    assert said("compiler") == ("missing", "install g++")


def test_litert_needs_its_program_and_no_compiler(fake_phone, tmp_path, capsys):
    fake_phone(properties={"ro.product.cpu.abi": "armeabi-v7a"})
    assert "needs phone.benchmark_model=" in said("benchmark", runtime="litert")[1]
    program = tmp_path / "benchmark_model"
    program.touch()
    assert main(["job=phone.doctor", "phone.runtime=litert", f"phone.benchmark_model={program}"]) == 0
    screen = capsys.readouterr().out
    assert str(program) in screen and "compiler" not in screen and "missing" not in screen


def test_an_unknown_runtime_is_a_mistake(capsys):
    assert main(["job=phone.doctor", "phone.runtime=ncnn"]) == 2
    assert "phone.runtime=ncnn: choose one of executorch, litert" in capsys.readouterr().err
